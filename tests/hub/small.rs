//! Models of many small files, which share a partial.

use model_provisioner::{AdoptMode, Digest, FileState, ImportRequest};
use sha1::{Digest as _, Sha1};
use testkit::{
    gguf,
    hub::{At, Fault, FaultKind, Refusal},
};

use crate::fixture::{Fixture, code};

const ID: &str = "hf:org/repo?include=*";

const MANY: usize = 100;

fn name(n: usize) -> String {
    format!("{n:03}.json")
}

fn text(n: usize) -> String {
    format!("{{\"n\": {n}}}")
}

/// A repository of many small files.
fn bench() -> Fixture {
    let bench = Fixture::new();
    let repo = (0..MANY).fold(bench.hub.repo("org/repo"), |repo, n| repo.file(&name(n), text(n)));
    repo.publish();
    bench
}

async fn arrives(bench: &Fixture) {
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    for n in 0..MANY {
        assert_eq!(fs_err::read_to_string(model.local_path.join(name(n))).unwrap(), text(n));
    }
    assert!(bench.partials().is_empty(), "{:?}", bench.partials());
}

/// How many files were asked for since the counts were reset.
fn asked(bench: &Fixture) -> usize {
    bench.hub.count(|seen| seen.file.is_some())
}

/// A first attempt, which ends at one that the hub does not give, after so many that it does; and for how many it asked.
async fn cut_off(bench: &Fixture, after: u64) -> usize {
    let refusal = FaultKind::Refuse(Refusal::status(404));
    bench.hub.fault(Fault::on("/org/repo/resolve/").after(after).kind(refusal));
    assert_eq!(code(bench.provisioner().ensure_present_str(ID, None).await), "not-found");
    bench.hub.clear_faults();
    let asked = asked(bench);
    bench.hub.reset_counts();
    asked
}

#[tokio::test]
async fn they_share_a_partial_and_come_once() {
    let bench = bench();
    let first = cut_off(&bench, 60).await;
    let partials = bench.partials();
    assert!(partials.len() == 1 && partials[0].join("small").is_dir(), "{partials:?}");
    let plan = bench.provisioner().plan(&ID.parse().unwrap()).await.unwrap();
    let left = plan.files.iter().filter(|file| file.state == FileState::Partial).count();
    assert!(left > 40 && left <= first + 8, "{left} of {first}");
    bench.hub.reset_counts();
    arrives(&bench).await;
    let again = first + asked(&bench);
    assert!(again <= MANY + 16, "{again} requests in all, and eight were under way");
}

#[tokio::test]
async fn wrong_bytes_are_not_kept_and_others_are() {
    let bench = bench();
    bench.hub.fault(Fault::on(&name(60)).kind(FaultKind::Flip(3)));
    assert_eq!(code(bench.provisioner().ensure_present_str(ID, None).await), "digest-mismatch");
    let small = bench.partials()[0].join("small");
    let kept = fs_err::read_dir(&small).unwrap().map(|entry| fs_err::read(entry.unwrap().path()).unwrap());
    let kept: Vec<_> = kept.filter(|bytes| !bytes.is_empty() && bytes.len() < 20).collect();
    assert!(kept.len() > 40 && kept.iter().all(|bytes| bytes.starts_with(b"{\"n\": ")), "{kept:?}");
    bench.hub.clear_faults();
    arrives(&bench).await;
}

#[tokio::test]
async fn what_others_put_among_them_harms_nobody() {
    let bench = bench();
    let precious = bench.cache().with_extension("precious");
    fs_err::write(&precious, "precious").unwrap();
    cut_off(&bench, 60).await;
    let small = bench.partials()[0].join("small");
    let data: Vec<_> = fs_err::read_dir(&small).unwrap().map(|entry| entry.unwrap().path()).collect();
    for (n, path) in data.iter().enumerate() {
        fs_err::remove_file(path).unwrap();
        match n % 4 {
            0 => std::os::unix::fs::symlink(&precious, path).unwrap(),
            1 => fs_err::hard_link(&precious, path).unwrap(),
            2 => fs_err::create_dir(path).unwrap(),
            _ => fs_err::write(path, "other bytes").unwrap(),
        }
    }
    arrives(&bench).await;
    assert_eq!(fs_err::read_to_string(&precious).unwrap(), "precious");
}

#[tokio::test]
async fn they_are_adopted_and_imported_too() {
    let bench = bench();
    for n in 0..MANY {
        let text = text(n);
        let id = Sha1::new().chain_update(format!("blob {}\0{text}", text.len())).finalize();
        let id = Digest::git_sha1(id.into());
        bench.foreign(&format!("hub/models--org--repo/blobs/{}", id.hex()), &text);
        bench.foreign(&format!("plain/{}", name(n)), &text);
    }
    let before = bench.seen_by_others();
    let model = bench.adopter(AdoptMode::Link).ensure_present_str(ID, None).await.unwrap();
    assert_eq!((model.cached, asked(&bench)), (true, 0));
    assert!(bench.partials().is_empty());
    let mut import = ImportRequest::new(bench.path("foreign/plain"));
    import.id = Some("hf:org/other".parse().unwrap());
    let imported = bench.provisioner().import(&import).await.unwrap();
    assert_eq!(imported.files.len(), MANY);
    assert!(bench.partials().is_empty());
    assert_eq!(bench.seen_by_others(), before);
}

#[tokio::test]
async fn they_come_beside_the_large_ones() {
    let bench = Fixture::new();
    let repo = (0..MANY).fold(bench.hub.repo("org/repo"), |repo, n| repo.file(&name(n), text(n)));
    repo.lfs("model.gguf", gguf(vec![7; 1 << 20])).publish();
    arrives(&bench).await;
    let requests = bench.hub.requests();
    for (name, what) in [("model.gguf", "the largest"), ("000.json", "one of the smallest")] {
        let mut files = requests.iter().filter_map(|seen| seen.file.as_deref());
        let place = files.position(|file| file.ends_with(name)).unwrap();
        assert!(place < MANY / 2, "{place} of {MANY} came before {what}");
    }
}

#[tokio::test]
async fn one_that_is_cut_goes_on() {
    let bench = bench();
    for n in 0..20 {
        bench.hub.fault(Fault::on(&name(n)).once().kind(FaultKind::Cut(At::Half)));
    }
    arrives(&bench).await;
}

#[tokio::test]
async fn the_same_bytes_may_be_in_many_places() {
    let bench = Fixture::new();
    let text = |n: usize| text(n % 3).repeat(1000);
    (0..MANY).fold(bench.hub.repo("org/repo"), |repo, n| repo.file(&name(n), text(n))).publish();
    // Those that come again begin anew, while others have ended.
    for n in 0..MANY / 2 {
        bench.hub.fault(Fault::on(&name(n)).once().kind(FaultKind::Flip(5)));
    }
    let model = bench.provisioner().ensure_present_str(ID, None).await.unwrap();
    for n in 0..MANY {
        assert_eq!(fs_err::read_to_string(model.local_path.join(name(n))).unwrap(), text(n), "{n}");
    }
    assert!(bench.partials().is_empty());
}

#[tokio::test]
async fn what_is_left_of_many_is_taken_up_by_a_few() {
    let bench = Fixture::new();
    (0..MANY).fold(bench.hub.repo("org/repo"), |repo, n| repo.lfs(&name(n), text(n))).publish();
    cut_off(&bench, 90).await;
    let most = "hf:org/repo?include=00*&include=01*&include=02*&include=03*&include=04*";
    bench.provisioner().ensure_present_str(most, None).await.unwrap();
    bench.hub.reset_counts();
    arrives(&bench).await;
    // Ten had not been asked for, and eight were under way; each is asked for at the hub and at its CDN.
    assert!(asked(&bench) <= 2 * 20, "{} of 50 came again", asked(&bench) / 2);
}

#[tokio::test]
async fn the_disk_is_asked_for_them_once() {
    let bench = Fixture::new();
    let repo = (0..MANY).fold(bench.hub.repo("org/repo"), |repo, n| repo.file(&name(n), vec![7; 10_000 + n]));
    repo.publish();
    let needed = (0..MANY as u64).map(|n| 10_000 + n).sum::<u64>();
    let plan = bench.provisioner().plan(&ID.parse().unwrap()).await.unwrap();
    assert_eq!(plan.space_needed_bytes(), needed);
    let narrow = bench.builder().max_size(needed + needed / 2).build().unwrap();
    narrow.ensure_present_str(ID, None).await.unwrap();
}
