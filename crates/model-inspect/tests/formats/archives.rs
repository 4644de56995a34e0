//! Archives by their directories and their members.

use provisioner_core::Format;
use testkit::{ZipWriter, tar};

use crate::{check, told};

const PICKLE: &[u8] = b"\x80\x02}q\0.";
/// The beginnings of files of `NumPy`: numbers, and objects.
const NUMBERS: &[u8] =
    b"\x93NUMPY\x01\0\x36\0{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}\0\0\0\0";
const OBJECTS: &[u8] =
    b"\x93NUMPY\x01\0\x35\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\x80\x02.";

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    ZipWriter::of(members).to_bytes()
}

#[test]
fn archives_of_pytorch_are_told() {
    let torch: &[(&str, &[u8])] = &[("archive/data.pkl", PICKLE), ("archive/data/0", b"\0\0\0\0")];
    check("torch.save", &zip(torch), Format::Pickle);
    check("behind a prefix", &ZipWriter::of(torch).behind(b"#!/bin/sh\n").to_bytes(), Format::Pickle);
    check("zip64", &ZipWriter::of(torch).zip64().to_bytes(), Format::Pickle);
    check("deep", &zip(&[("a/b/c/D/X.PKL", b"")]), Format::Pickle);
    check("backslashes", &zip(&[("a\\data.pkl", b"")]), Format::Pickle);
    let script: &[(&str, &[u8])] = &[
        ("m/data.pkl", PICKLE),
        ("m/code/__torch__.py", b"class M(Module):\n"),
        ("m/constants.pkl", b"\x80\x02)."),
    ];
    check("torch.jit.save", &zip(script), Format::TorchScript);
    for name in ["m.pt", "pytorch_model.bin", "m.ot"] {
        assert_eq!(told(name, &zip(script)), Format::TorchScript, "{name}");
    }
    let exported: &[(&str, &[u8])] = &[("m/archive_format", b"pt2"), ("m/models/model.json", b"{}")];
    check("torch.export.save", &zip(exported), Format::TorchScript);
}

#[test]
fn a_script_that_hides_a_pickle_is_a_pickle() {
    let script: &[(&str, &[u8])] = &[("m/code/a.py", b""), ("m/constants.pkl", b""), ("m/data.pkl", PICKLE)];
    for other in ["m/extra.pkl", "m/extra/data.pkl", "m/Data.pkl", "other.pt"] {
        let members = [script, &[(other, PICKLE)]].concat();
        check(other, &zip(&members), Format::Pickle);
    }
    let renamed: &[(&str, &[u8])] = &[("m/code/a.py", b""), ("m/Constants.pkl", b""), ("m/data.pkl", PICKLE)];
    check("another letter case, which only one of its loaders takes", &zip(renamed), Format::Pickle);
}

#[test]
fn archives_of_keras_are_told() {
    for part in ["metadata.json", "model.weights.h5", "model.weights.npz"] {
        check(part, &zip(&[("config.json", b"{}"), (part, b"")]), Format::Keras);
    }
    check("HDF5", b"\x89HDF\r\n\x1a\n\0\0\0", Format::Hdf5);
    for block in [512, 1024, 4096] {
        let behind = [&vec![0; block], b"\x89HDF\r\n\x1a\n\0\0\0".as_slice()].concat();
        check("HDF5 behind a block", &behind, Format::Hdf5);
    }
}

#[test]
fn files_of_numpy_with_objects_are_told() {
    check("objects", OBJECTS, Format::Pickle);
    check("an archive of objects", &zip(&[("a.npy", NUMBERS), ("b.npy", OBJECTS)]), Format::Pickle);
    assert_eq!(told("a.npy", NUMBERS), Format::Other);
    assert_eq!(told("voices.npz", &zip(&[("a.npy", NUMBERS)])), Format::Other);
    let header = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\0".as_slice(), &length, text.as_bytes()].concat()
    };
    for objects in [
        "{'descr': 'O', 'shape': ()}",
        "{'descr': '|O8'}",
        "{\"descr\": \"object\"}",
        "{'descr': 'f4,O'}",
        "{'descr': '2O'}",
        "{'descr': [('a', '<f4'), ('b', '|O')]}",
        "{'descr': [('a', 'Object')]}",
        "{'descr': '\\x4f'}",
        "{'descr': 'ob' 'ject'}",
        "{'descr': '''O'''}",
        "{'descr': u'O'}",
        "{'descr': # ,'\n'O,' ,# ' ,\n'fortran_order': False}",
        "{'descr': 'f4",
    ] {
        check(objects, &header(objects), Format::Pickle);
    }
    let numbers =
        "{'descr': [('Offset', '<f4', (2,)), ('b', '|S10')], 'fortran_order': False, 'shape': (3,), }";
    assert_eq!(told("a.npy", &header(numbers)), Format::Other);
}

#[test]
fn members_of_tars_are_told() {
    let nemo: &[(&str, &[u8])] =
        &[("./", b""), ("./model_config.yaml", b"a: b\n"), ("./model_weights.ckpt", PICKLE)];
    check("NeMo", &tar(nemo), Format::Pickle);
    let weights = zip(&[("archive/data.pkl", PICKLE)]);
    check("an archive in a tar", &tar(&[("a.yaml", b"a: b\n"), ("weights", &weights)]), Format::Pickle);
    check(
        "the first archives of PyTorch",
        &tar(&[("sys_info", b"\x80\x02}q\0."), ("pickle", PICKLE)]),
        Format::Pickle,
    );
    let inner = tar(&[("a.pkl", PICKLE)]);
    check("a tar in a zip in a tar", &tar(&[("x", &zip(&[("inner", &inner)]))]), Format::Pickle);
    assert_eq!(told("data.tar", &tar(&[("a.txt", b"text"), ("b.json", b"{}")])), Format::Other);
}

#[test]
fn what_cannot_be_looked_into_is_an_archive() {
    for bytes in [
        b"\xfd7zXZ\0\0\x04\xe6\xd6".as_slice(),
        b"\x28\xb5\x2f\xfd\x04\0",
        b"BZh91AY&SY\0\0",
        b"7z\xbc\xaf\x27\x1c\0\x04",
        b"\x04\x22\x4d\x18\x64",
        b"Rar!\x1a\x07\x01\0",
        b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x01",
        b"\x5d\0\x34\x12\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x01",
        // A gzip file that ends in its header.
        b"\x1f\x8b\x08\x04\0\0\0\0\0\x03\x60\xea",
        b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name",
        // A gzip file of a few zeros, stored.
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x04\0\xfb\xff\0\0\0\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x07",
        b"PK\x03\x04 and no directory",
    ] {
        check(&format!("{bytes:?}"), bytes, Format::Archive);
    }
}

#[test]
fn archives_without_anything_that_runs_are_let_be() {
    for members in [
        &[("mimetype", b"application/epub+zip".as_slice()), ("a.xhtml", b"<html/>")][..],
        &[("schema.json", b"{}"), ("a.npy", NUMBERS)],
        &[("TF_LITE_PREFILL_DECODE", b"\x1c\0\0\0TFL3"), ("TOKENIZER_MODEL", b"\x0a\x0e\x0a\x05<unk>")],
        &[],
    ] {
        assert_eq!(told("model.task", &zip(members)), Format::Other, "{members:?}");
    }
    let appended = [b"\x1c\0\0\0TFL3".as_slice(), &[0; 600], &zip(&[("labels.txt", b"cat\n")])].concat();
    assert_eq!(told("model.tflite", &appended), Format::Other);
    // What compressed text begins with is read: a vocabulary of CLIP.
    let text = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x04\0\xfb\xffabc\n";
    assert_eq!(told("bpe_simple_vocab.txt.gz", text), Format::Other);
}
