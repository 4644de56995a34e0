//! Checks the contract of `ModelFetcher`.

use std::{future::poll_fn, task::Poll};

use crate::{
    FetchErrorKind,
    digest::{Digest, DigestAlgorithm},
    fetcher::{ByteRange, ByteStream, ModelFetcher, ResolveRequest},
    manifest::{Manifest, ManifestFile},
    reference::ModelRef,
};

/// Runs the whole suite against a fetcher. `present` names a model that it has, with at least one file that is not empty;
/// `absent` names one that it does not have.
///
/// A file of one byte is enough. With a file of at least 64 bytes, the ranges that the suite asks for differ from each other.
///
/// # Panics
/// Panics where the fetcher breaks the contract.
pub async fn fetcher(fetcher: &dyn ModelFetcher, present: &ModelRef, absent: &ModelRef) {
    answers_for_its_schemes(fetcher, present);
    let manifest = fetcher.resolve(&ResolveRequest::new(present.clone())).await.unwrap();
    assert_eq!(manifest.reference(), present, "a manifest is of the reference that was asked for");
    let pins = |revision: &str| fetcher.pins(present, revision);
    assert!(manifest.revision().is_none_or(pins), "it knows the revision that it pinned for one of its own");
    resolves_the_same_twice(fetcher, &manifest).await;
    for file in manifest.files() {
        opens_what_it_listed(fetcher, file).await;
    }
    let largest = manifest.files().iter().max_by_key(|file| file.size).filter(|file| file.size > 0);
    let largest = largest.expect("`present` names a model with a file that is not empty");
    opens_ranges(fetcher, largest).await;
    opens_again_what_was_dropped(fetcher, largest).await;
    let error = fetcher.resolve(&ResolveRequest::new(absent.clone())).await.unwrap_err();
    assert_eq!(error.kind, FetchErrorKind::NotFound, "{error}");
}

fn answers_for_its_schemes(fetcher: &dyn ModelFetcher, present: &ModelRef) {
    let schemes = fetcher.schemes();
    assert!(schemes.contains(&present.scheme()), "it answers for the scheme of `present`");
    let is_plain = |scheme: &str| scheme == scheme.to_ascii_lowercase() && !scheme.contains(':');
    assert!(
        schemes.iter().all(|scheme| is_plain(scheme)),
        "schemes are in lower case, without a colon: {schemes:?}"
    );
}

/// Resolves without a revision, and at the revision that the fetcher returned.
async fn resolves_the_same_twice(fetcher: &dyn ModelFetcher, first: &Manifest) {
    let listed =
        |manifest: &Manifest| manifest.files().iter().map(|f| (f.path.clone(), f.size)).collect::<Vec<_>>();
    for revision in [None, first.revision().map(str::to_owned)] {
        let request = ResolveRequest::new(first.reference().clone()).at_revision(revision);
        let again = fetcher.resolve(&request).await.unwrap();
        assert_eq!(again.revision(), first.revision(), "nothing changed at the source");
        assert_eq!(listed(&again), listed(first), "nothing changed at the source");
    }
}

async fn opens_what_it_listed(fetcher: &dyn ModelFetcher, file: &ManifestFile) {
    let opened = fetcher.open(file, ByteRange::ALL).await.unwrap();
    assert_eq!(opened.range.start, 0);
    assert!(opened.total_size.is_none_or(|size| size == file.size), "a file has the size that was listed");
    let bytes = read(fetcher, file, ByteRange::ALL).await;
    assert_eq!(bytes.len() as u64, file.size, "a file has the size that was listed");
    if let Some(digest) = file.digest.as_ref().filter(|d| d.algorithm() == DigestAlgorithm::Sha256) {
        assert_eq!(digest.hex(), Digest::sha256_of(&bytes).hex(), "a file has the digest that was listed");
    }
}

async fn opens_ranges(fetcher: &dyn ModelFetcher, file: &ManifestFile) {
    let whole = read(fetcher, file, ByteRange::ALL).await;
    let (last, middle) = (file.size, file.size / 2);
    let within = [(0, Some(1)), (1, Some(last.min(64))), (last.min(63), None), (middle, None)];
    let at_the_edges = [(last - 1, Some(last)), (last, None), (middle, Some(middle))];
    for (start, end) in within.into_iter().chain(at_the_edges) {
        let opened = fetcher.open(file, ByteRange { start, end }).await.unwrap();
        assert_eq!(opened.range.start, start);
        let expected = &whole[usize::try_from(start).unwrap()..usize::try_from(end.unwrap_or(last)).unwrap()];
        assert_eq!(read(fetcher, file, ByteRange { start, end }).await, expected, "{start}..{end:?}");
    }
    assert!(fetcher.open(file, ByteRange { start: last + 1, end: None }).await.is_err(), "past the end");
}

/// Drops a call before its first answer, and a stream before its end, as a caller may.
async fn opens_again_what_was_dropped(fetcher: &dyn ModelFetcher, file: &ManifestFile) {
    let whole = read(fetcher, file, ByteRange::ALL).await;
    {
        let mut open = fetcher.open(file, ByteRange::ALL);
        poll_fn(|context| Poll::Ready(open.as_mut().poll(context).is_ready())).await;
    }
    let mut opened = fetcher.open(file, ByteRange::ALL).await.unwrap();
    next(&mut opened.stream).await;
    drop(opened);
    assert_eq!(read(fetcher, file, ByteRange::ALL).await, whole, "a dropped stream leaves nothing behind");
}

async fn read(fetcher: &dyn ModelFetcher, file: &ManifestFile, range: ByteRange) -> Vec<u8> {
    let mut stream = fetcher.open(file, range).await.unwrap().stream;
    let mut bytes = Vec::new();
    while let Some(piece) = next(&mut stream).await {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

async fn next(stream: &mut ByteStream) -> Option<bytes::Bytes> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await.map(|piece| piece.unwrap())
}
