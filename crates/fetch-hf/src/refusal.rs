//! What a refusal means, and what a person can do about it.
//!
//! The Hub tells its refusals apart by the status, by `X-Error-Code`, and some only by the text of `X-Error-Message`.

use std::time::Duration;

use provisioner_core::{FetchError, FetchErrorKind, Hint};
use reqwest::{Response, StatusCode, Url};

use crate::{
    HubSettings,
    http::{shorten, shown},
    rate_limit,
};

/// As whom a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// There is no token.
    Anonymous,
    /// With the token.
    Known,
    /// Without the token, which belongs to the endpoint's own origin alone.
    Withheld,
    /// Without the token, which the hub no longer takes.
    Expired,
}

/// An answer that refuses.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) settings: &'a HubSettings,
    pub(crate) identity: Identity,
    pub(crate) url: &'a Url,
    pub(crate) response: &'a Response,
    /// The page of the repository that was asked for.
    pub(crate) page: Option<&'a Url>,
}

impl Refusal<'_> {
    /// Whether the hub does not take the token itself, whatever was asked for.
    pub(crate) fn is_of_token(&self) -> bool {
        let (status, said) = (self.response.status(), self.header("x-error-message").unwrap_or_default());
        self.identity == Identity::Known
            && status == StatusCode::UNAUTHORIZED
            && said.trim().eq_ignore_ascii_case("invalid credentials in authorization header")
    }

    /// How long the server asks to be left alone.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let status = self.response.status();
        let is_busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        is_busy.then(|| rate_limit::wait_of(self.response.headers())).flatten()
    }

    /// The refusal as an error.
    pub(crate) fn error(&self) -> FetchError {
        let (status, wait) = (self.response.status().as_u16(), self.wait());
        let said = self.header("x-error-message").map(shorten);
        let mut message = format!("`{}` answered {status}", shown(self.url));
        if self.is_of_token() {
            message = format!("the hub does not take {}: {message}", self.settings.token_origin);
        }
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            message = format!("{message}: {said}");
        }
        if let Some(wait) = wait {
            message = format!("{message}: the hub asks to wait {} s", wait.as_secs());
        }
        let (kind, hint) = self.meaning();
        FetchError { hint, retry_after: wait, ..FetchError::new(kind, message) }
    }

    fn meaning(&self) -> (FetchErrorKind, Option<Hint>) {
        use FetchErrorKind::{Disabled, Gated, Invalid, NotFound, Unauthorized, Unavailable};
        let status = self.response.status();
        let is_denied = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
        let said = self.header("x-error-message").unwrap_or_default().to_ascii_lowercase();
        match status {
            _ if self.header("x-error-code") == Some("GatedRepo") => (Gated, Some(self.gated(&said).into())),
            // Of this one the Hub says no code.
            StatusCode::FORBIDDEN if said.contains("fine-grained token") => {
                (Gated, Some(self.gated(&said).into()))
            }
            StatusCode::FORBIDDEN if said.contains("access to this resource is disabled") => (Disabled, None),
            _ if is_denied => (Unauthorized, Some(self.unauthorized().into())),
            StatusCode::NOT_FOUND => {
                (NotFound, Some(Hint::text("check the repository's name, its revision and the file")))
            }
            StatusCode::TOO_MANY_REQUESTS => (Unavailable, Some(busy(self.settings, self.wait()).into())),
            StatusCode::REQUEST_TIMEOUT => (Unavailable, None),
            status if status.is_server_error() => (Unavailable, None),
            _ => (Invalid, None),
        }
    }

    /// What helps where the hub does not let this account in.
    fn gated(&self, said: &str) -> String {
        let page = self.page.map(|page| format!(": `{page}`")).unwrap_or_default();
        let hint = if said.contains("fine-grained token") {
            let (origin, endpoint) = (&self.settings.token_origin, self.settings.endpoint.as_str());
            let endpoint = endpoint.trim_end_matches('/');
            format!(
                "{origin} lacks the right to read public gated repositories; give it that right at \
                 `{endpoint}/settings/tokens`. The model's page{page}"
            )
        } else if said.contains("awaiting a review") {
            format!("the account has asked for access, and the model's authors have not answered yet{page}")
        } else if said.contains("rejected by") {
            format!("the model's authors have refused this account{page}")
        } else {
            format!(
                "accept the licence on the model's page, then set HF_TOKEN to a token of that account{page}"
            )
        };
        match self.identity {
            Identity::Anonymous | Identity::Known => hint,
            Identity::Withheld => format!("{hint}; {}", self.withheld()),
            Identity::Expired => format!("{hint}; {}", self.expired()),
        }
    }

    /// What helps where the hub does not tell a missing repository from a private one, or its storage refuses us.
    fn unauthorized(&self) -> String {
        let origin = &self.settings.token_origin;
        match self.identity {
            Identity::Known if self.is_of_token() => {
                format!("the token is invalid or has expired: {}", origin.remedy())
            }
            Identity::Known if *origin == crate::TokenOrigin::Given => {
                "the token that was given may not read it".to_owned()
            }
            Identity::Known => format!("the token that was given may not read it; it is {origin}"),
            Identity::Expired => format!("check the repository's name; if it is right, {}", self.expired()),
            _ if self.url.origin() != self.settings.endpoint.origin() => {
                let again = "the hub sent us there, and does so again for another try: try later";
                match self.identity {
                    Identity::Withheld => format!("{again}; {}", self.withheld()),
                    _ => again.to_owned(),
                }
            }
            Identity::Withheld => self.withheld(),
            Identity::Anonymous => {
                "check the repository's name; if it is right, set HF_TOKEN to a token that may read it"
                    .to_owned()
            }
        }
    }

    fn withheld(&self) -> String {
        format!("no token was sent there, for it belongs to `{}` alone", shown(&self.settings.endpoint))
    }

    fn expired(&self) -> String {
        let origin = &self.settings.token_origin;
        format!("{origin} is invalid or has expired: {}", origin.remedy())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// That a request is not sent, for its origin still wants to be left alone.
pub(crate) fn left_alone(settings: &HubSettings, url: &Url, left: Duration) -> FetchError {
    let seconds = left.as_secs_f64().ceil();
    let message = format!("`{}` is not asked: the hub asks to wait {seconds} s", shown(url));
    let error = FetchError::new(FetchErrorKind::Unavailable, message).with_hint(busy(settings, Some(left)));
    FetchError { retry_after: Some(left), ..error }
}

fn busy(settings: &HubSettings, wait: Option<Duration>) -> String {
    let wait = wait.map_or("a while".to_owned(), |wait| format!("{} seconds", wait.as_secs_f64().ceil()));
    let hint = format!("wait {wait}, then try again");
    match &settings.token {
        None => format!("{hint}; with a token in HF_TOKEN the hub allows more"),
        Some(_) => hint,
    }
}
