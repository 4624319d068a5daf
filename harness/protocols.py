"""IANA's keywords of the IP protocol numbers, as flow tools print them."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = (
    "hopopt icmp igmp ggp ipv4 st tcp cbt egp igp bbn-rcc-mon nvp-ii pup argus emcon xnet chaos "
    "udp mux dcn-meas hmp prm xns-idp trunk-1 trunk-2 leaf-1 leaf-2 rdp irtp iso-tp4 netblt "
    "mfe-nsp merit-inp dccp 3pc idpr xtp ddp idpr-cmtp tp++ il ipv6 sdrp ipv6-route ipv6-frag "
    "idrp rsvp gre dsr bna esp ah i-nlsp swipe narp min-ipv4 tlsp skip ipv6-icmp ipv6-nonxt "
    "ipv6-opts host-internal cftp local-network sat-expak kryptolan rvd ippc "
    "distributed-file-system sat-mon visa ipcv cpnx cphb wsn pvp br-sat-mon sun-nd wb-mon wb-expak "
    "iso-ip vmtp secure-vmtp vines iptm nsfnet-igp dgp tcf eigrp ospfigp sprite-rpc larp mtp "
    "ax.25 ipip micp scc-sp etherip encap private-encryption gmtp ifmp pnni pim aris scps qnx a/n "
    "ipcomp snp compaq-peer ipx-in-ip vrrp pgm zero-hop l2tp ddx iatp stp srp uti smp sm ptp "
    "isis fire crtp crudp sscopmce iplt sps pipe sctp fc rsvp-e2e-ignore mobility udplite "
    "mpls-in-ip manet hip shim6 wesp rohc ethernet aggfrag nsh"
)

KEYWORDS: Final = _WORDS.split()
"""Keyword of protocol 0, 1, 2 …; 61, 63, 68, 99 and 114 have none at IANA, hence plain names."""

ALIASES: Final = {"ttp": 84, "ospf": 89, "ip": 4, "mobility-header": 135}
"""Other names in use."""

_NUMBERS: Final = {name: number for number, name in enumerate(KEYWORDS)} | ALIASES


def protocol_number(name: str) -> str:
    """Number of a protocol that another tool printed by name; an unknown name stays as it is."""
    unassigned = re.fullmatch(r".*\(([0-9]+)\)", name)
    if unassigned:
        return unassigned[1]
    number = _NUMBERS.get(name.lower())
    return name if number is None else str(number)
