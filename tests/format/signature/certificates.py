# SPDX-License-Identifier: Apache-2.0
"""Authorities, signers and time stamps for the tests of OMS certificates, made when they run."""
import datetime
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
NO_USAGE = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment",
                          "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
                          "encipher_only", "decipher_only"), False)


def usage(*names):
    return x509.KeyUsage(**{**NO_USAGE, **dict.fromkeys(names, True)})


class Certified:
    """A key with its certificate, both written as PEM: NAME.key, NAME.pub, NAME.pem."""

    def __init__(self, folder, name, issuer=None, *, ca=False, path_length=None, key="p256",
                 key_usage=("digital_signature",), purposes=(), names=(), begin=None,
                 end=NOW + 365 * DAY, critical_purposes=False):
        self.key = (rsa.generate_private_key(65537, int(key[3:])) if key.startswith("rsa")
                    else ec.generate_private_key(CURVES.get(key, ec.SECP256K1)()))
        self.subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme"),
                                  x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        builder = (x509.CertificateBuilder().subject_name(self.subject)
                   .issuer_name(signer.subject).public_key(self.key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(begin or NOW - (1000 if ca else 1) * DAY)
                   .not_valid_after(end)
                   .add_extension(x509.BasicConstraints(ca, path_length), True))
        if ca:
            key_usage = ("key_cert_sign", "crl_sign")
        if key_usage:
            builder = builder.add_extension(usage(*key_usage), True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical_purposes)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.pem = folder / f"{name}.pem"
        self.secret, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.secret.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        self.secret.chmod(0o600)
        self.public.write_bytes(self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def sign(self, message, digest=None):
        size = self.key.curve.key_size
        chosen = digest or {256: hashes.SHA256, 384: hashes.SHA384}.get(size, hashes.SHA512)
        return self.key.sign(message, ec.ECDSA(chosen()))


def time_stamp_authority(folder, name, root, **options):
    return Certified(folder, name, root, purposes=[ExtendedKeyUsageOID.TIME_STAMPING],
                     critical_purposes=True, **options)


def stamp(folder, authority, request, response):
    """Answers the request with openssl, as an authority would."""
    serial, config = folder / "serial", folder / "tsa.cnf"
    serial.write_text("01\n")
    config.write_text(f"[tsa]\ndefault_tsa = t\n[t]\nserial = {serial}\ndefault_policy = 1.2.3.4\n"
                      "digests = sha256, sha384, sha512\nsigner_digest = sha256\n"
                      "ess_cert_id_alg = sha256\naccuracy = secs:1\n")
    subprocess.run(["openssl", "ts", "-reply", "-config", config, "-section", "t", "-queryfile",
                    request, "-signer", authority.pem, "-inkey", authority.secret, "-out", response],
                   check=True, capture_output=True)
