//! A real engine, llama.cpp's own HTTP server, runs a model of ours.
//!
//! `just engine` brings it into `target/tools/llama`; `.ci/run` does so too, and runs this.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
};

use testkit::Hub;

use crate::fixture::{Fixture, finish};

const ID: &str = "hf:org/repo/tiny.gguf";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Returns what the engine answers.
fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The engine says of the model what the command says of it.
fn agrees_with(answer: &str, ours: &serde_json::Value) {
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let models: serde_json::Value = serde_json::from_str(body).unwrap();
    let theirs = &models["data"][0]["meta"];
    for (their, our) in [
        (&theirs["n_ctx_train"], &ours["ctx_max"]),
        (&theirs["n_params"], &ours["parameter_count"]),
        (&theirs["size"], &ours["memory"]["weights_bytes"]),
        (&theirs["ftype"], &ours["quantization"]),
        (&theirs["n_embd"], &ours["embedding_length"]),
        (&theirs["n_vocab"], &ours["vocab_size"]),
    ] {
        assert!(!our.is_null() && their == our, "{their} and {our}: {theirs} {ours}");
    }
}

#[test]
#[ignore = "needs llama.cpp's server: `just engine`"]
fn a_real_engine_keeps_its_model() {
    let python = root().join("target/tools/llama/bin/python");
    assert!(python.exists(), "`just engine` brings the engine to {}", python.display());
    let (bench, hub) = (Fixture::new(), Hub::start());
    let tiny = fs_err::read(root().join("examples/tiny.gguf")).unwrap();
    hub.repo("org/repo").lfs("tiny.gguf", tiny).publish();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/llama_server.py");
    let mut command = bench.command();
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HOME", bench.path("hf-home"));
    command.args(["run", ID, "-q", "--"]).arg(python).arg(script).arg("{path}");
    let mut engine = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(engine.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address = address.trim_end();
    let models = asked(address, "GET /v1/models HTTP/1.0\r\n\r\n");
    agrees_with(&models, &bench.json(&["inspect", ID]));
    let body = r#"{"prompt":"the","n_predict":4}"#;
    let head = format!("POST /completion HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let completion = asked(address, &(head + body));
    assert!(completion.contains("\"tokens_predicted\":4"), "{completion}");
    let path = PathBuf::from(bench.json(&["show", ID])["local_path"].as_str().unwrap());
    assert_eq!(bench.json(&["show", ID])["leases"][0]["pid"], engine.id());
    assert_eq!(finish(bench.command().args(["remove", ID])).status, 9);
    let kept = bench.json(&["gc", "--max-size", "1", "--grace", "0"]);
    assert!(kept["evicted"] == serde_json::json!([]) && kept["kept"][0]["id"] == ID, "{kept}");
    assert!(path.exists());
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert_eq!(bench.run(&["remove", ID]).status, 0);
    assert!(!path.exists());
}
