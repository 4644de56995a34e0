//! Files that the hub stores in Xet. Those that need a storage server are in `xet_server`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};
use testkit::gguf;

use model_provisioner::{HubFetcher, HubSettings, Network, Policy, Token, TransferSettings};
use testkit::{Hub, hub::Origin};

use crate::fixture::{Fixture, bytes, settings};

const ID: &str = "hf:org/repo/a.gguf";
const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn bench(cas: &str) -> (Fixture, Vec<u8>) {
    let (bench, weights) = (Fixture::new(), bytes(3 << 20, 9));
    bench.hub.repo("org/repo").xet("a.gguf", weights.clone(), HASH).publish();
    bench.hub.xet_cas(cas);
    (bench, weights)
}

/// Returns how often the fetcher asked the hub for a token for its storage.
pub(crate) fn tokens(hub: &Hub) -> usize {
    hub.count(|seen| seen.path.contains("/xet-read-token/"))
}

/// Starts a storage that has nothing, and returns its address and the requests that it gets.
fn empty_storage() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            kept.lock().unwrap().push(head.join("\n"));
            let _ =
                stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_storage_that_is_down_is_asked_once_and_plain_http_takes_over() {
    let (bench, weights) = bench("http://127.0.0.1:1");
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(tokens(&bench.hub), 1, "for the first of three ranges");
    assert_eq!(bench.hub.bytes_sent("a.gguf"), weights.len() as u64);
}

#[tokio::test]
async fn a_storage_that_gives_nothing_is_left_alone() {
    let (cas, asked) = empty_storage();
    let bench = Fixture::new();
    bench.hub.xet_cas(&cas);
    let repo = (0..20).fold(bench.hub.repo("org/repo"), |repo, n| {
        repo.xet(&format!("{n}.gguf"), gguf(format!("{n}")), HASH)
    });
    repo.publish();
    let one_by_one = TransferSettings { connections: 1, ..settings() };
    let provisioner = bench.builder().transfer(one_by_one).build().unwrap();
    let model = provisioner.ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!(model.files.len(), 20);
    let files = asked.lock().unwrap().iter().filter(|head| head.contains("/v1/reconstructions/")).count();
    assert_eq!(files, 3);
}

#[tokio::test]
async fn without_xet_the_storage_is_not_asked() {
    let (bench, weights) = bench("http://127.0.0.1:1");
    let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().xet(false);
    let provisioner = bench.builder().fetcher(HubFetcher::new(settings)).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    assert_eq!(tokens(&bench.hub), 0);
}

#[tokio::test]
async fn a_list_of_hosts_leaves_the_storage_out() {
    let (bench, weights) = bench("http://127.0.0.1:1");
    let hosts = Some(vec!["127.0.0.1".to_owned()]);
    let policy = Policy { network: Network::Allow, hosts, ..Policy::default() };
    let model = bench.builder().policy(policy).build().unwrap().ensure_present_str(ID, None).await.unwrap();
    assert_eq!((fs_err::read(model.local_path).unwrap(), tokens(&bench.hub)), (weights, 0));
}

#[tokio::test]
async fn a_storage_on_this_machine_or_without_an_address_is_not_one() {
    for cas in ["local:///etc", "memory://", "file:///etc", "http://user:word@127.0.0.1:1", ""] {
        let (bench, weights) = bench(cas);
        let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
        assert_eq!(fs_err::read(model.local_path).unwrap(), weights, "{cas}");
        assert_eq!(tokens(&bench.hub), 1, "{cas}");
    }
}

#[tokio::test]
async fn each_token_goes_where_it_belongs() {
    let (cas, asked) = empty_storage();
    let (bench, weights) = bench(&cas);
    let settings = HubSettings::new(Some(&bench.hub.endpoint())).unwrap().token(Token::new("secret"));
    let provisioner = bench.builder().fetcher(HubFetcher::new(settings)).build().unwrap();
    let model = provisioner.ensure_present_str(ID, None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path).unwrap(), weights);
    let of_hub = bench.hub.requests();
    let (hub, cdn): (Vec<_>, Vec<_>) = of_hub.iter().partition(|seen| seen.origin == Origin::Hub);
    assert!(hub.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer secret")));
    assert!(cdn.iter().all(|seen| seen.authorization.is_none()));
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty());
    for request in asked.iter() {
        assert!(!request.contains("secret"), "{request}");
        assert!(request.contains("Bearer xet-token-for-org/repo"), "{request}");
        assert!(request.contains("model-provisioner/"), "{request}");
    }
}

#[tokio::test]
async fn a_hub_that_gives_no_token_gives_the_file_all_the_same() {
    let bench = Fixture::new();
    bench
        .hub
        .repo("org/repo")
        .xet("a.gguf", gguf("one"), HASH)
        .xet("b.gguf", gguf("two"), "no hash")
        .publish();
    let model = bench.provisioner().ensure_present_str("hf:org/repo?include=*", None).await.unwrap();
    assert_eq!(fs_err::read(model.local_path.join("a.gguf")).unwrap(), gguf("one"));
    assert_eq!(fs_err::read(model.local_path.join("b.gguf")).unwrap(), gguf("two"));
    assert_eq!(tokens(&bench.hub), 1, "what is no hash is none");
}
