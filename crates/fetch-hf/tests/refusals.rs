//! What a hub refuses, what it says of it, and what the fetcher makes of that.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use fetch_hf::{HubFetcher, HubSettings, Token, TokenOrigin};
use futures_util::TryStreamExt;
use provisioner_core::{ByteRange, FetchError, FetchErrorKind, Manifest, ModelFetcher, ResolveRequest};
use testkit::{
    Hub,
    hub::{Fault, FaultKind, Origin, Refusal},
};

const TOKEN: &str = "hf_Secret0123456789";

fn hub() -> Hub {
    let hub = Hub::start();
    hub.repo("org/repo").lfs("a.gguf", vec![1; 1000]).file("config.json", "{}").publish();
    hub.repo("org/gated").lfs("a.gguf", "x").gated().publish();
    hub.repo("org/private").lfs("a.gguf", "x").private().publish();
    hub
}

fn fetcher(hub: &Hub, origin: Option<TokenOrigin>) -> HubFetcher {
    let settings = HubSettings::new(Some(&hub.endpoint())).unwrap();
    HubFetcher::new(match origin {
        Some(origin) => settings.token(Token::new(TOKEN)).token_origin(origin),
        None => settings,
    })
}

async fn resolve(fetcher: &HubFetcher, text: &str) -> Result<Manifest, FetchError> {
    fetcher.resolve(&ResolveRequest::new(text.parse().unwrap())).await
}

fn refuse(status: u16, code: &str, message: &str) -> FaultKind {
    let refusal = Refusal::status(status).header("X-Error-Message", message);
    FaultKind::Refuse(if code.is_empty() { refusal } else { refusal.header("X-Error-Code", code) })
}

fn variable() -> TokenOrigin {
    TokenOrigin::Variable("HF_TOKEN".into())
}

fn file() -> TokenOrigin {
    TokenOrigin::File("/home/me/token".into())
}

#[tokio::test]
async fn nothing_is_sent_to_an_origin_that_asks_to_be_left_alone() {
    let hub = hub();
    let fetcher = fetcher(&hub, None);
    let manifest = resolve(&fetcher, "hf:org/repo?include=*").await.unwrap();
    let open = async |path: &str, start: u64| {
        let file = manifest.files().iter().find(|file| file.path.as_str() == path).unwrap();
        let opened = fetcher.open(file, ByteRange { start, end: Some(file.size) }).await?;
        opened.stream.try_collect::<Vec<_>>().await
    };
    open("a.gguf", 0).await.unwrap();
    hub.reset_counts();
    let busy = FaultKind::Refuse(Refusal::status(429).rate_limit_s(55));
    hub.fault(Fault::on("/api/").at(Origin::Hub).once().kind(busy));
    let refused = resolve(&fetcher, "hf:org/repo").await.unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_secs(55)));
    assert!(refused.to_string().contains("answered 429: the hub asks to wait 55 s"), "{refused}");
    assert!(refused.hint.unwrap().to_string().starts_with("wait 55 seconds, then try again"));
    for refused in [resolve(&fetcher, "hf:org/repo").await.map(drop), open("config.json", 0).await.map(drop)]
    {
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind, FetchErrorKind::RateLimited);
        let left = refused.retry_after.unwrap();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(55), "{left:?}");
        assert!(refused.to_string().contains("is not asked: the hub asks to wait 55 s"), "{refused}");
    }
    assert_eq!(hub.requests().len(), 1, "nothing is sent meanwhile");
    open("a.gguf", 10).await.unwrap();
    let origins: Vec<_> = hub.requests().iter().map(|seen| seen.origin).collect();
    assert_eq!(origins, [Origin::Hub, Origin::Cdn], "the storage asked for nothing");
}

#[tokio::test]
async fn a_storage_that_asks_to_be_left_alone_is_not_asked_by_another_way() {
    let hub = hub();
    let fetcher = fetcher(&hub, None);
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    let open = async || fetcher.open(&manifest.files()[0], ByteRange::ALL).await;
    open().await.unwrap();
    let busy = FaultKind::Refuse(Refusal::status(503).retry_after_s(7));
    hub.fault(Fault::on("*").at(Origin::Cdn).once().kind(busy));
    hub.reset_counts();
    assert_eq!(open().await.unwrap_err().retry_after, Some(Duration::from_secs(7)));
    assert!(open().await.unwrap_err().retry_after.is_some());
    assert_eq!(hub.requests().len(), 1, "the hub would send us there again");
}

/// It may limit that one address, and the hub redirects to another one.
#[tokio::test]
async fn a_storage_that_limits_an_address_and_names_no_time_is_asked_by_the_way_of_the_hub_later() {
    let hub = hub();
    let fetcher = fetcher(&hub, None);
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    let open = async || fetcher.open(&manifest.files()[0], ByteRange::ALL).await;
    open().await.unwrap();
    hub.fault(Fault::on("*").at(Origin::Cdn).once().kind(FaultKind::Refuse(Refusal::status(429))));
    hub.reset_counts();
    let refused = open().await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after), (FetchErrorKind::RateLimited, None));
    assert!(refused.hint.unwrap().to_string().starts_with("wait a while, then try again"));
    open().await.unwrap();
    let origins: Vec<_> = hub.requests().iter().map(|seen| seen.origin).collect();
    assert_eq!(
        origins,
        [Origin::Cdn, Origin::Hub, Origin::Cdn],
        "no further request before the caller asks again"
    );
}

#[tokio::test]
async fn a_disabled_repository_is_said_to_be_that() {
    let hub = hub();
    hub.fault(Fault::on("/api/").kind(refuse(403, "", "Access to this resource is disabled.")));
    for origin in [None, Some(variable()), Some(file())] {
        let error = resolve(&fetcher(&hub, origin), "hf:org/repo").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Disabled);
        assert!(error.to_string().contains("is disabled") && error.hint.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn an_expired_token_is_told_with_where_it_came_from() {
    let hub = hub();
    hub.expire(TOKEN);
    let check = async |origin, message: &str, hint: &str| {
        let error = resolve(&fetcher(&hub, Some(origin)), "hf:org/repo").await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Unauthorized);
        assert!(error.to_string().starts_with(message), "{error}");
        let told = error.hint.unwrap().to_string();
        assert!(told.starts_with("the token is invalid or has expired: ") && told.contains(hint), "{told}");
    };
    check(variable(), "the hub does not take the token of the variable HF_TOKEN: `http", "unset it").await;
    check(TokenOrigin::Given, "the hub does not take the token that was given: `http", "or none").await;
}

#[tokio::test]
async fn what_is_public_is_had_without_a_token_that_expired_in_its_file() {
    let hub = hub();
    hub.expire(TOKEN);
    let fetcher = fetcher(&hub, Some(file()));
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    fetcher.open(&manifest.files()[0], ByteRange::ALL).await.unwrap();
    let with_token = hub.count(|seen| seen.authorization.is_some());
    assert_eq!(with_token, 1, "it is not sent again");
    // What is not public says why.
    let private = resolve(&fetcher, "hf:org/private").await.unwrap_err();
    assert_eq!(private.kind, FetchErrorKind::Unauthorized);
    let told = "the token of the file `/home/me/token` is invalid or has expired: `hf auth login` writes";
    assert!(private.hint.as_ref().unwrap().to_string().contains(told), "{private:?}");
    let gated = resolve(&fetcher, "hf:org/gated/a.gguf").await.unwrap();
    let gated = fetcher.open(&gated.files()[0], ByteRange::ALL).await.unwrap_err();
    assert!(
        gated.kind == FetchErrorKind::Gated && gated.hint.as_ref().unwrap().to_string().contains(told),
        "{gated:?}"
    );
}

#[tokio::test]
async fn the_reasons_of_a_closed_gate_are_told_apart() {
    let check = async |kind: Option<FaultKind>, hint: &str| {
        let hub = hub();
        let fetcher = fetcher(&hub, Some(variable()));
        let manifest = resolve(&fetcher, "hf:org/gated/a.gguf").await.unwrap();
        if let Some(kind) = kind {
            hub.fault(Fault::on("/org/gated/").kind(kind));
        }
        let error = fetcher.open(&manifest.files()[0], ByteRange::ALL).await.unwrap_err();
        assert_eq!(error.kind, FetchErrorKind::Gated);
        let told = error.hint.unwrap().to_string();
        assert!(told.starts_with(hint), "{told}");
        let page = format!("`{}/org/gated`", hub.endpoint());
        assert!(told.contains(&page), "{told}");
    };
    check(None, "accept the licence on the model's page, then give a token of that account").await;
    let pending = "Your request to access model org/gated is awaiting a review from the repo authors.";
    check(Some(refuse(403, "GatedRepo", pending)), "the account has asked for access").await;
    let refused = "Your request to access model org/gated has been rejected by the repo's authors.";
    check(Some(refuse(403, "GatedRepo", refused)), "the model's authors have refused this account").await;
    let scope = "Please enable access to public gated repositories in your fine-grained token settings to \
                 view this repository.";
    let lacks = "the token of the variable HF_TOKEN lacks the right";
    check(Some(refuse(403, "", scope)), lacks).await;
    check(Some(refuse(403, "GatedRepo", scope)), lacks).await;
}

#[tokio::test]
async fn that_no_token_was_sent_elsewhere_is_said() {
    let (hub, sibling) = (hub(), hub());
    hub.fault(Fault::on("/api/").kind(FaultKind::RedirectTo(sibling.endpoint())));
    let error = resolve(&fetcher(&hub, Some(variable())), "hf:org/private").await.unwrap_err();
    let told = format!("the client sent no token there, for it belongs to `{}/` alone", hub.endpoint());
    assert!(error.hint.as_ref().unwrap().to_string().ends_with(&told), "{error:?}");
}

#[tokio::test]
async fn a_token_that_a_hub_repeats_is_in_nothing_that_is_handed_out() {
    let page = |text: &str| Refusal::status(200).header("Content-Type", "text/html").body(text.to_owned());
    let echoes = [
        FaultKind::Refuse(Refusal::status(401).error("RepoNotFound", &format!("no {TOKEN}"))),
        FaultKind::Refuse(Refusal::status(200).body(format!("{{\"sha\":\"{TOKEN}\"}}"))),
        FaultKind::Refuse(Refusal::status(200).body(format!("\"{TOKEN}\""))),
        FaultKind::Refuse(page(&format!("<html>{TOKEN}</html>"))),
        FaultKind::RedirectTo(format!("http://127.0.0.1:9/{TOKEN}")),
        FaultKind::RedirectTo(format!("http://{TOKEN}.invalid/x?token={TOKEN}")),
        FaultKind::RedirectTo(format!("http://{TOKEN}@127.0.0.1/")),
        FaultKind::Header("Link", Some(format!("</{TOKEN}> rel=next"))),
        FaultKind::LinkTo(format!("http://127.0.0.1:9/{TOKEN}")),
        FaultKind::Entries(vec![format!("{TOKEN}.json")]),
        FaultKind::Entries(vec![format!("../{TOKEN}")]),
        FaultKind::Listed("a.gguf".into(), serde_json::json!({ "lfs": { "oid": TOKEN, "size": 1 } })),
        FaultKind::Listed("a.gguf".into(), serde_json::json!({ "oid": TOKEN, "lfs": null })),
        FaultKind::Listed("a.gguf".into(), serde_json::json!({ "size": TOKEN })),
    ];
    for kind in echoes {
        let hub = hub();
        let told = format!("{kind:?}");
        hub.fault(Fault::on("/api/").kind(kind));
        let error = resolve(&fetcher(&hub, Some(variable())), "hf:org/repo?include=*").await.unwrap_err();
        let error = format!("{error} {error:?}").to_ascii_lowercase();
        assert!(!error.contains(&TOKEN.to_ascii_lowercase()), "{told}: {error}");
    }
    let hub = hub();
    hub.fault(Fault::on("a.gguf").at(Origin::Cdn).kind(FaultKind::Etag(TOKEN.into())));
    let fetcher = fetcher(&hub, Some(variable()));
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    let opened = fetcher.open(&manifest.files()[0], ByteRange::ALL).await.unwrap();
    assert_eq!(opened.validator, None, "it would be written down");
    assert!(!format!("{fetcher:?}").contains(TOKEN));
}

#[tokio::test]
async fn what_the_hub_does_not_have_is_named_by_its_reference() {
    let hub = hub();
    let fetcher = fetcher(&hub, None);
    for (reference, named) in
        [("hf:org/repo@v9/a.gguf", "`hf:org/repo@v9`"), ("hf:org/repo@v9:Q4_0", "`hf:org/repo@v9`")]
    {
        let error = resolve(&fetcher, reference).await.unwrap_err();
        let expected = format!("the hub does not have {named}: it answered 404");
        assert!(error.message.starts_with(&expected) && error.kind == FetchErrorKind::NotFound, "{error}");
    }
    // To a stranger the hub tells a missing repository from a private one as little as this error does.
    for reference in ["hf:org/absent", "hf:org/private"] {
        let error = resolve(&fetcher, reference).await.unwrap_err();
        let expected = format!(
            "the hub does not have `{reference}`, or does not show it to this caller: it answered 401"
        );
        assert!(
            error.message.starts_with(&expected) && error.kind == FetchErrorKind::Unauthorized,
            "{error}"
        );
        assert!(!error.message.contains("/api/"), "{error}");
    }
    let manifest = resolve(&fetcher, "hf:org/repo/a.gguf").await.unwrap();
    hub.fault(Fault::on("a.gguf").kind(refuse(404, "EntryNotFound", "Entry not found")));
    let error = fetcher.open(&manifest.files()[0], ByteRange::ALL).await.unwrap_err();
    let commit = manifest.revision().unwrap();
    assert!(error.message.contains(&format!("`hf:org/repo@{commit}/a.gguf`")), "{error}");
}
