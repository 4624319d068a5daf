"""From a protocol's name to a fresh analyzer."""

from __future__ import annotations

from osect_sensor.flows.analyzer import Analyzer, Connection
from osect_sensor.protocols.dce_rpc import DceRpcAnalyzer
from osect_sensor.protocols.dhcp import DhcpAnalyzer
from osect_sensor.protocols.dnp3 import Dnp3Analyzer
from osect_sensor.protocols.dns import DnsAnalyzer
from osect_sensor.protocols.dtls import DtlsAnalyzer
from osect_sensor.protocols.finger import FingerAnalyzer
from osect_sensor.protocols.ftp import FtpAnalyzer
from osect_sensor.protocols.gssapi import GssapiAnalyzer
from osect_sensor.protocols.http import HttpAnalyzer
from osect_sensor.protocols.imap import ImapAnalyzer
from osect_sensor.protocols.irc import IrcAnalyzer
from osect_sensor.protocols.kerberos import KerberosAnalyzer, KerberosTcpAnalyzer
from osect_sensor.protocols.ldap import LdapAnalyzer
from osect_sensor.protocols.modbus import ModbusAnalyzer
from osect_sensor.protocols.mqtt import MqttAnalyzer
from osect_sensor.protocols.mysql import MysqlAnalyzer
from osect_sensor.protocols.ntlm import NtlmAnalyzer
from osect_sensor.protocols.ntp import NtpAnalyzer
from osect_sensor.protocols.pop3 import Pop3Analyzer
from osect_sensor.protocols.postgresql import PostgresqlAnalyzer
from osect_sensor.protocols.quic import QuicAnalyzer
from osect_sensor.protocols.radius import RadiusAnalyzer
from osect_sensor.protocols.rdp import RdpAnalyzer
from osect_sensor.protocols.rdpeudp import RdpeudpAnalyzer
from osect_sensor.protocols.redis import RedisAnalyzer
from osect_sensor.protocols.rfb import RfbAnalyzer
from osect_sensor.protocols.sip import SipAnalyzer
from osect_sensor.protocols.smb import SmbAnalyzer
from osect_sensor.protocols.smtp import SmtpAnalyzer
from osect_sensor.protocols.snmp import SnmpAnalyzer
from osect_sensor.protocols.socks import SocksAnalyzer
from osect_sensor.protocols.ssh import SshAnalyzer
from osect_sensor.protocols.ssl import SslAnalyzer
from osect_sensor.protocols.syslog import SyslogAnalyzer
from osect_sensor.protocols.websocket import WebsocketAnalyzer
from osect_sensor.protocols.xmpp import XmppAnalyzer


def new_analyzer(connection: Connection, service: str) -> Analyzer | None:
    """A fresh analyzer of ``service`` for ``connection``, or None where there is none."""
    if service == "dns":
        return DnsAnalyzer(connection)
    if service == "http":
        return HttpAnalyzer(connection)
    if service == "ssl":
        return SslAnalyzer(connection)
    if service == "dce_rpc":
        return DceRpcAnalyzer(connection)
    if service == "dhcp":
        return DhcpAnalyzer(connection)
    if service == "dtls":
        return DtlsAnalyzer(connection)
    if service == "finger":
        return FingerAnalyzer(connection)
    if service == "ftp":
        return FtpAnalyzer(connection)
    if service == "gssapi":
        return GssapiAnalyzer(connection)
    if service == "imap":
        return ImapAnalyzer(connection)
    if service == "irc":
        return IrcAnalyzer(connection)
    if service == "krb":
        return KerberosAnalyzer(connection)
    if service == "modbus":
        return ModbusAnalyzer(connection)
    if service == "mqtt":
        return MqttAnalyzer(connection)
    if service == "mysql":
        return MysqlAnalyzer(connection)
    if service == "ntlm":
        return NtlmAnalyzer(connection)
    if service == "ntp":
        return NtpAnalyzer(connection)
    if service == "pop3":
        return Pop3Analyzer(connection)
    if service == "postgresql":
        return PostgresqlAnalyzer(connection)
    if service == "quic":
        return QuicAnalyzer(connection)
    if service == "radius":
        return RadiusAnalyzer(connection)
    if service == "rdp":
        return RdpAnalyzer(connection)
    if service == "rdpeudp":
        return RdpeudpAnalyzer(connection)
    if service == "redis":
        return RedisAnalyzer(connection)
    if service == "rfb":
        return RfbAnalyzer(connection)
    if service == "sip":
        return SipAnalyzer(connection)
    if service == "smb":
        return SmbAnalyzer(connection)
    if service == "smtp":
        return SmtpAnalyzer(connection)
    if service == "snmp":
        return SnmpAnalyzer(connection)
    if service == "socks":
        return SocksAnalyzer(connection)
    if service == "ssh":
        return SshAnalyzer(connection)
    if service == "syslog":
        return SyslogAnalyzer(connection)
    if service == "websocket":
        return WebsocketAnalyzer(connection)
    if service == "xmpp":
        return XmppAnalyzer(connection)
    if service == "krb_tcp":
        return KerberosTcpAnalyzer(connection)
    if service == "dnp3_tcp":
        return Dnp3Analyzer(connection, True)
    if service == "dnp3_udp":
        return Dnp3Analyzer(connection, False)
    if service == "ldap_tcp":
        return LdapAnalyzer(connection, True)
    if service == "ldap_udp":
        return LdapAnalyzer(connection, False)
    return None
