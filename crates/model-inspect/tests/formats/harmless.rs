//! Files of real models that are not pickles, and must not pass for one.

use provisioner_core::Format;
use testkit::FakeModel;

use crate::told;

fn check(name: &str, bytes: &[u8], expected: Format) {
    assert_eq!(told(name, bytes), expected, "{name}: {:?}", String::from_utf8_lossy(bytes));
}

#[test]
fn weights_and_tokenizers_are_told() {
    check("m.gguf", &FakeModel::gguf().to_bytes(), Format::Gguf);
    check("m.bin", &FakeModel::gguf().to_bytes(), Format::Gguf);
    check("m.safetensors", &testkit::safetensors_of(64, 1), Format::Safetensors);
    check("m.sft", &testkit::safetensors_of(64, 1), Format::Safetensors);
    check("m.safetensors", b"", Format::Text);
    // The first piece of a real vocabulary of SentencePiece.
    check(
        "tokenizer.model",
        b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02\x0a\x0c\x0a\x03<s>\x15\0\0\0\0\x18\x03",
        Format::Other,
    );
    check("tokenizer.spm", b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", Format::Other);
    check("model.onnx", b"\x08\x08\x12\x07pytorch\x3a\x04\x0a\x02\x0a\0\x42\x04\x0a\0\x10\x11", Format::Onnx);
    check("model.onnx", b"\x08\x08\x12\xff\x7f", Format::Other);
    check("other.bin", b"\x08\x08\x12\x07pytorch\x3a\x04\x0a\x02\x0a\0", Format::Onnx);
    check("m.tflite", b"\x1c\0\0\0TFL3\x14\0\x20\0", Format::Other);
    check("array.npy", b"\x93NUMPY\x01\0\x02\0{}", Format::Other);
    check("rknn.bin", &[0; 4096], Format::Other);
}

#[test]
fn pictures_sounds_and_papers_are_told() {
    for (name, bytes) in [
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0".as_slice()),
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"),
        ("a.gif", b"GIF89a\x01\0\x01\0\x80\0\0"),
        ("a.webp", b"RIFF\x24\0\0\0WEBPVP8 "),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"),
        ("a.flac", b"fLaC\0\0\0\x22\x10\0"),
        ("a.ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0"),
        ("a.mp3", b"ID3\x04\0\0\0\0\0\x23TSSE"),
        ("a.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2"),
        ("a.pdf", b"%PDF-1.5\n%\xd0\xd4\xc5\xd8\n1 0 obj\n"),
        ("a.woff2", b"wOF2\0\x01\0\0\0\0"),
        ("a.so", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
        ("a.parquet", b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02PAR1"),
        ("a.arrow", b"ARROW1\0\0\xff\xff\xff\xff"),
        ("a.db", b"SQLite format 3\0\x10\0\x01\x01"),
        ("a.pb", b"\x08\x01\x12\x9a\x01\x0a\x0fsaved"),
        ("a.msgpack", b"\x81\xa6params\x81\xa4bert\x83"),
    ] {
        check(name, bytes, Format::Other);
    }
}

#[test]
fn texts_are_told_whatever_letter_they_begin_with() {
    let mut texts: Vec<String> = [
        "{\"model_type\": \"llama\"}\n",
        "#version: 0.2\ni n\nt h\n",
        "---\nlicense: mit\n---\n# Card\n",
        "[PAD]\n[unused0]\n[UNK]\n",
        "a: b\n",
        "cat\ndog\nbird\n",
        "cos\nsin\ntan\n",
        "charlie\ndelta\necho\nfoxtrot\n.\n",
        "configuration\nof\nthe model.\n",
        "Version 1.0\n...\n",
        "Vocab\nNone\nItems\n.\n",
        "I1\nI2\nI3\n",
        "S'quoted'\n.. and more",
        "(c) 2026 The authors\nAll rights reserved.\n",
        "(lots of text)\n",
        "(dp0 is how a pickle begins)\n",
        "N\n",
        "No\n",
        "Built with care.\n",
        "Permission is hereby granted, free of charge.\n.\n",
        "]}.\n",
        "import os\nos.system('id')\n",
        "int\nlong\nfloat\n.\n",
        "q: question\np: part\nr: rest\n",
        "h\u{e9}llo\n",
        "",
    ]
    .map(str::to_owned)
    .into();
    texts.push("N".repeat(60_000));
    texts.push("NACGT\n".repeat(10_000));
    texts.push("V".to_owned() + &"a".repeat(1000));
    for first in ' '..='~' {
        texts.push(format!("{first}he quick brown fox\njumps over\nthe lazy dog.\n"));
        texts.push(format!("{first}\n{first}a\n{first}b\n"));
        texts.push(format!("{first} = 1\n"));
    }
    for text in texts {
        let found = told("notes.txt", text.as_bytes());
        assert_eq!(found, Format::Text, "{:?}", text.get(..40.min(text.len())));
    }
}

#[test]
fn text_in_another_encoding_is_other() {
    check("a.txt", b"\xff\xfea\0b\0", Format::Other);
    check("a.txt", b"a\0b", Format::Other);
    check("a.txt", b"caf\xe9 au lait\n", Format::Other);
}
