//! Explains a refusal of the Hub, and what a person can do about it.
//!
//! The Hub tells its refusals apart by the status, by `X-Error-Code`, and some only by the text of `X-Error-Message`.

use std::time::Duration;

use provisioner_core::{FetchError, FetchErrorKind, Hint};
use source_http::{Dialect, Identity, Refusal, StatusCode, TokenOrigin, Trouble, Url, redacted, server_text};

use crate::address::page_of;

/// Speaks as the Hub does: its error headers, and the variables and commands of its users.
#[derive(Debug)]
pub(crate) struct HubDialect;

impl Dialect for HubDialect {
    fn name(&self) -> &'static str {
        "the hub"
    }

    fn refuses_token(&self, refusal: &Refusal<'_>) -> bool {
        let said = refusal.header("x-error-message").unwrap_or_default();
        refusal.identity == Identity::Authenticated
            && refusal.status == StatusCode::UNAUTHORIZED
            && said.trim().eq_ignore_ascii_case("invalid credentials in authorization header")
    }

    fn reason(&self, refusal: &Refusal<'_>) -> Option<String> {
        refusal.header("x-error-message").map(server_text)
    }

    fn meaning(&self, refusal: &Refusal<'_>) -> (FetchErrorKind, Option<Hint>) {
        use FetchErrorKind::{Disabled, Gated, NotFound, Unauthorized};
        let said = refusal.header("x-error-message").unwrap_or_default().to_ascii_lowercase();
        let is_gated = refusal.header("x-error-code") == Some("GatedRepo");
        match refusal.status {
            _ if is_gated => (Gated, Some(gated(refusal, &said))),
            // For this one the Hub gives no code.
            StatusCode::FORBIDDEN if said.contains("fine-grained token") => {
                (Gated, Some(gated(refusal, &said)))
            }
            StatusCode::FORBIDDEN if said.contains("access to this resource is disabled") => (Disabled, None),
            _ if refusal.is_denied() => (Unauthorized, Some(self.unauthorized(refusal))),
            StatusCode::NOT_FOUND => {
                (NotFound, Some(Hint::text("check the repository's name, its revision and the file")))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                (refusal.kind(), Some(busy(refusal.wait(), refusal.settings.token.is_some())))
            }
            _ => (refusal.kind(), None),
        }
    }

    fn remedy(&self, trouble: &Trouble<'_>) -> Option<Hint> {
        Some(match trouble {
            Trouble::EndlessRedirect => Hint::CheckEndpoint,
            Trouble::Tls => Hint::TrustCertificate,
            Trouble::MalformedToken => Hint::WriteTokenAlone,
            Trouble::RefusedToken(origin) => renewal(origin).into(),
            Trouble::Busy { wait, has_token } => busy(*wait, *has_token),
        })
    }
}

impl HubDialect {
    /// Returns the hint where the hub does not tell a missing repository from a private one, or where its storage refuses
    /// the client.
    fn unauthorized(&self, refusal: &Refusal<'_>) -> Hint {
        let origin = &refusal.settings.token_origin;
        match refusal.identity {
            Identity::Authenticated if self.refuses_token(refusal) => {
                format!("the token is invalid or has expired: {}", renewal(origin)).into()
            }
            Identity::Authenticated if *origin == TokenOrigin::Given => {
                "the token that was given may not read it".into()
            }
            Identity::Authenticated => {
                format!("the token that was given may not read it; it is {origin}").into()
            }
            Identity::Expired => {
                format!("check the repository's name; if it is right, {}", expired(refusal)).into()
            }
            _ if refusal.url.origin() != refusal.settings.endpoint.origin() => {
                let again = "the hub sent us there, and does so again for another try: try later";
                match refusal.identity {
                    Identity::Withheld => format!("{again}; {}", withheld(refusal)).into(),
                    _ => again.into(),
                }
            }
            Identity::Withheld => withheld(refusal).into(),
            Identity::Anonymous => Hint::text("check the repository's name").and(Hint::GiveToken),
        }
    }
}

/// Returns the error of what the hub does not have, with its reference in the place of the address of the hub's API. Any other error
/// stays as it is.
pub(crate) fn naming(error: FetchError, reference: &str) -> FetchError {
    if error.kind != FetchErrorKind::NotFound {
        return error;
    }
    saying(error, &format!("the hub does not have `{reference}`"))
}

/// Returns the error of a repository that the hub does not have or does not show, with its reference in the place of the address of
/// the hub's API. To a caller whom it does not know, the hub does not tell a missing repository from a private one. An error of
/// another host stays as it is.
pub(crate) fn naming_repository(error: FetchError, reference: &str, endpoint: &Url) -> FetchError {
    let is_own = error.message.starts_with(&format!("`{}", redacted(endpoint)));
    match error.kind {
        FetchErrorKind::Unauthorized if is_own => {
            saying(error, &format!("the hub does not have `{reference}`, or does not show it to this caller"))
        }
        FetchErrorKind::Gated if is_own => {
            saying(error, &format!("the hub does not let this account read `{reference}`"))
        }
        _ => naming(error, reference),
    }
}

/// Returns an error with a text in the place of the address that answered.
fn saying(mut error: FetchError, what: &str) -> FetchError {
    if let Some((_, said)) = error.message.split_once("` answered ") {
        error.message = format!("{what}: it answered {said}");
    }
    error
}

/// Returns the hint where the hub does not let this account in.
fn gated(refusal: &Refusal<'_>, said: &str) -> Hint {
    let endpoint = &refusal.settings.endpoint;
    let page = page_of(endpoint, refusal.asked);
    let on_page = page.as_ref().map(|page| format!(": `{page}`")).unwrap_or_default();
    let hint = if said.contains("fine-grained token") {
        let (origin, endpoint) = (&refusal.settings.token_origin, endpoint.as_str().trim_end_matches('/'));
        Hint::text(format!(
            "{origin} lacks the right to read public gated repositories; give it that right at \
             `{endpoint}/settings/tokens`. The model's page{on_page}"
        ))
    } else if said.contains("awaiting a review") {
        Hint::text(format!(
            "the account has asked for access, and the model's authors have not answered yet{on_page}"
        ))
    } else if said.contains("rejected by") {
        Hint::text(format!("the model's authors have refused this account{on_page}"))
    } else {
        Hint::AcceptLicence { page: page.map(|page| page.to_string()) }
    };
    match refusal.identity {
        Identity::Anonymous | Identity::Authenticated => hint,
        Identity::Withheld => hint.and(withheld(refusal).into()),
        Identity::Expired => hint.and(expired(refusal).into()),
    }
}

fn withheld(refusal: &Refusal<'_>) -> String {
    let endpoint = redacted(&refusal.settings.endpoint);
    format!("the client sent no token there, for it belongs to `{endpoint}` alone")
}

fn expired(refusal: &Refusal<'_>) -> String {
    let origin = &refusal.settings.token_origin;
    format!("{origin} is invalid or has expired: {}", renewal(origin))
}

/// Returns the hint that leads to a token which the hub accepts.
fn renewal(origin: &TokenOrigin) -> String {
    match origin {
        TokenOrigin::Variable(name) => {
            format!("set {name} to a token that has not expired, or unset it: a public model needs none")
        }
        TokenOrigin::File(_) => "`hf auth login` writes a new one".to_owned(),
        _ => "give a token that has not expired, or none: a public model needs none".to_owned(),
    }
}

fn busy(wait: Option<Duration>, has_token: bool) -> Hint {
    let wait = wait.map_or("a while".to_owned(), |wait| format!("{} seconds", wait.as_secs_f64().ceil()));
    let hint = Hint::text(format!("wait {wait}, then try again"));
    if has_token { hint } else { hint.and(Hint::TokenAllowsMore) }
}
