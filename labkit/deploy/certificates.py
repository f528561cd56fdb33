"""X.509 certificates as a lab needs them: an authority, and servers and clients it vouches for.

A certificate binds a public key to names. Who trusts the authority's key trusts the names that it
signed. All keys are ECDSA on P-256: made in less than a millisecond, and every TLS library knows
them.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Certificate and private key, both as PEM text.
Pair = tuple[str, str]

_VALID = datetime.timedelta(days=3650)
#: A machine's clock may be behind ours.
_EARLIER = datetime.timedelta(days=1)


def make_authority(name: str) -> Pair:
    """A certificate that signs itself, and may sign others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    may_sign = x509.BasicConstraints(ca=True, path_length=0)
    builder = (
        _begin(subject, subject, key)
        .add_extension(may_sign, critical=True)
        .add_extension(_signing_only(), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_server(
    authority: Pair, subject: str, names: Sequence[str], addresses: Sequence[str]
) -> Pair:
    """A certificate for a server with these names and addresses, signed by `authority`."""
    known_as = x509.SubjectAlternativeName(
        [
            *(x509.DNSName(name) for name in names),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        ]
    )
    return _issue(authority, subject, ExtendedKeyUsageOID.SERVER_AUTH, known_as)


def make_client(authority: Pair, subject: str, *, valid: datetime.timedelta = _VALID) -> Pair:
    """A certificate with which `subject` proves who it is, signed by `authority`.

    It is `valid` for so long from yesterday on: less than a day, and it has expired.
    """
    return _issue(authority, subject, ExtendedKeyUsageOID.CLIENT_AUTH, valid=valid)


def _issue(
    authority: Pair,
    subject: str,
    usage: x509.ObjectIdentifier,
    *known_as: x509.SubjectAlternativeName,
    valid: datetime.timedelta = _VALID,
) -> Pair:
    """Sign a new key for one usage: what a server holds does not make it a client."""
    issuer = x509.load_pem_x509_certificate(authority[0].encode())
    ca_key = serialization.load_pem_private_key(authority[1].encode(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = (
        _begin(_name(subject), issuer.subject, key, valid)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(issued_by, critical=False)
    )
    for extension in known_as:
        builder = builder.add_extension(extension, critical=False)
    return _pair(builder.sign(ca_key, hashes.SHA256()), key)


def _begin(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    valid: datetime.timedelta = _VALID,
) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - _EARLIER
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + valid)
        .add_extension(identifier, critical=False)
    )


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
