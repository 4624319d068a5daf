"""One module a protocol: payload to rows or to a service name. Nothing here knows about files."""
