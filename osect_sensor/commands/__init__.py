"""The subcommands of osect-sensor, a module each: loaded when called, so that starting is fast."""
