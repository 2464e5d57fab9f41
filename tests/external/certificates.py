"""An authority and certificates that it issues, in files."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What no authority needs its key for.
OTHER_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


class Authority:
    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, directory.name)])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        signs = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **dict.fromkeys(OTHER_USES, False))
        self.certificate = self._sign(self.name, self.key, [(authority, True), (signs, True)])
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(pem(self.certificate))

    def issue(self, name: str, *uris: str) -> tuple[Path, Path]:
        """A certificate for `localhost` and these URIs, and its key. The same name again replaces both, the certificate
        first."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *map(x509.UniformResourceIdentifier, uris)])
        certificate = self._sign(subject, key, [(names, False)])
        files = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        files[0].write_bytes(pem(certificate))
        plain = serialization.NoEncryption()
        # What `openssl ecparam` writes: SEC 1.
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, traditional, plain))
        return files

    def _sign(self, subject, key, extensions) -> x509.Certificate:
        own, issuer = key.public_key(), self.key.public_key()
        keys = x509.SubjectKeyIdentifier.from_public_key(own), x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)
        extensions = [*extensions, *((identifier, False) for identifier in keys)]
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
