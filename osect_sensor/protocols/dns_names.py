"""Names of DNS codes as they appear in dns.log (IANA "Domain Name System Parameters")."""

from __future__ import annotations

from typing import Final

_QUERY_TYPES: Final[dict[int, str]] = {
    1: "A",
    2: "NS",
    3: "MD",
    4: "MF",
    5: "CNAME",
    6: "SOA",
    7: "MB",
    8: "MG",
    9: "MR",
    10: "NULL",
    11: "WKS",
    12: "PTR",
    13: "HINFO",
    14: "MINFO",
    15: "MX",
    16: "TXT",
    17: "RP",
    18: "AFSDB",
    19: "X25",
    20: "ISDN",
    21: "RT",
    22: "NSAP",
    23: "NSAP-PTR",
    24: "SIG",
    25: "KEY",
    26: "PX",
    27: "GPOS",
    28: "AAAA",
    29: "LOC",
    30: "NXT",
    31: "EID",
    32: "NIMLOC",
    33: "SRV",
    34: "ATMA",
    35: "NAPTR",
    36: "KX",
    37: "CERT",
    38: "A6",
    39: "DNAME",
    40: "SINK",
    41: "OPT",
    42: "APL",
    43: "DS",
    44: "SSHFP",
    45: "IPSECKEY",
    46: "RRSIG",
    47: "NSEC",
    48: "DNSKEY",
    49: "DHCID",
    50: "NSEC3",
    51: "NSEC3PARAM",
    52: "TLSA",
    53: "SMIMEA",
    55: "HIP",
    56: "NINFO",
    57: "RKEY",
    58: "TALINK",
    59: "CDS",
    60: "CDNSKEY",
    61: "OPENPGPKEY",
    62: "CSYNC",
    63: "ZONEMD",
    64: "SVCB",
    65: "HTTPS",
    99: "SPF",
    100: "UINFO",
    101: "UID",
    102: "GID",
    103: "UNSPEC",
    104: "NID",
    105: "L32",
    106: "L64",
    107: "LP",
    108: "EUI48",
    109: "EUI64",
    249: "TKEY",
    250: "TSIG",
    251: "IXFR",
    252: "AXFR",
    253: "MAILB",
    254: "MAILA",
    255: "*",
    256: "URI",
    257: "CAA",
    32768: "TA",
    32769: "DLV",
    65281: "WINS",
    65282: "WINS-R",
    65422: "XPF",
    65521: "INTEGRITY",
}

_CLASSES: Final[dict[int, str]] = {
    1: "C_INTERNET",
    2: "C_CSNET",
    3: "C_CHAOS",
    4: "C_HESIOD",
    254: "C_NONE",
    255: "C_ANY",
}

_RESPONSE_CODES: Final[list[str]] = [
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSet",
    "NOTAUTH",
    "NOTZONE",
    "unassigned-11",
    "unassigned-12",
    "unassigned-13",
    "unassigned-14",
    "unassigned-15",
]

SRV: Final = 33


def query_type_name(query_type: int) -> str:
    """Name of a QTYPE."""
    name = _QUERY_TYPES.get(query_type)
    return name if name is not None else f"query-{query_type}"


def class_name(query_class: int) -> str:
    """Name of a QCLASS."""
    name = _CLASSES.get(query_class)
    return name if name is not None else f"qclass-{query_class}"


def response_code_name(code: int) -> str:
    """Name of a header's four-bit RCODE."""
    return _RESPONSE_CODES[code & 0x0F]
