"""Reads statements with programs that other projects wrote: in-toto-attestation, securesystemslib, cyclonedx-python-lib, packageurl-python.

`read.py statement FILE`, `read.py envelope FILE PUBLIC_KEY`, `read.py bom FILE`. Prints what it saw as one JSON document, and fails
where a reader refuses the file.
"""

import base64
import copy
import json
import sys
from pathlib import Path


def statement(text):
    from google.protobuf import json_format
    from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement
    from packageurl import PackageURL

    message = statement_pb2.Statement()
    json_format.Parse(text, message)
    read = Statement.copy_from_pb(message)
    read.validate()
    predicate = json.loads(text)["predicate"]
    # The extension is a field that the schema does not know, and no other field is.
    extensions = [name for name in predicate if ":" in name]
    assert all(name.startswith("https://") for name in extensions), extensions
    known = copy.deepcopy({name: value for name, value in predicate.items() if name not in extensions})
    # The schema of this package is older than the optional `version`, and has one text for the levels, where the specification has a
    # list. It refuses any other field that it does not know.
    assert list(known["verifier"].pop("version")) == ["model-provisioner"]
    [known["verifiedLevels"]] = known["verifiedLevels"]
    summary = json_format.ParseDict(known, vsa_pb2.VerificationSummary())
    assert summary.verifier.id and summary.policy.uri and summary.resource_uri
    uri = summary.resource_uri
    return {
        "predicate_type": message.predicate_type,
        "subjects": [subject.name for subject in message.subject],
        "digests": sorted({name for subject in message.subject for name in subject.digest}),
        "result": predicate["verificationResult"],
        "purl_type": PackageURL.from_string(uri).type if uri.startswith("pkg:") else None,
    }


def envelope(text, public_key):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    document = json.loads(text)
    keyid = document["signatures"][0]["keyid"]
    key = SSlibKey.from_crypto(load_pem_public_key(public_key), keyid=keyid)
    read = Envelope.from_dict(copy.deepcopy(document))
    accepted = read.verify([key], 1)
    changed = copy.deepcopy(document)
    payload = base64.b64decode(changed["payload"]).replace(b"PASSED", b"FAILED")
    changed["payload"] = base64.b64encode(payload).decode()
    try:
        Envelope.from_dict(changed).verify([key], 1)
        changed_is_refused = False
    except VerificationError:
        changed_is_refused = True
    return {
        "verified": keyid in accepted,
        "changed_is_refused": changed_is_refused,
        "statement": statement(read.payload.decode()),
    }


def bom(text):
    from cyclonedx.model.bom import Bom
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    read = Bom.from_json(json.loads(text))
    [component] = read.components
    return {
        "type": component.type.value,
        "purl": str(component.purl) if component.purl else None,
        "files": len(component.components),
        "serial": str(read.serial_number),
    }


def main():
    kind, *files = sys.argv[1:]
    texts = [Path(file).read_bytes() for file in files]
    readers = {"statement": statement, "envelope": envelope, "bom": bom}
    print(json.dumps(readers[kind](texts[0].decode(), *texts[1:])))


main()
