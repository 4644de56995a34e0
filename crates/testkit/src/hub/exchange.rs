//! Answers a request: finds what it is for, lets the faults strike, and records it.

use std::sync::{Arc, atomic::AtomicU64};

use super::{
    fault::{At, FaultKind},
    fault_injection,
    found::Found,
    ledger::Seen,
    line::{Line, Origin},
    reply::{Reply, reply},
    request::Request,
    routes,
    state::Shared,
};

/// Holds an answer that the hub is about to send.
pub(super) struct Exchange {
    pub(super) reply: Reply,
    /// Whether the hub sends its head alone.
    pub(super) is_head: bool,
    /// The counter of the body's bytes.
    pub(super) sent: Arc<AtomicU64>,
}

/// Answers a request, in one step as seen from other connections.
pub(super) fn answer(shared: &Shared, line: Line, request: &Request) -> Exchange {
    let origin = line.origin;
    let state = &mut *shared.state();
    let mut found = routes::find(shared, state, origin, request);
    let path = match origin {
        Origin::Hub => found.path(),
        Origin::Cdn => state.signatures.find(request).map(|(path, _)| path),
    };
    let path = path.map(str::to_owned);
    let kinds = fault_injection::struck(state, origin, request, &found);
    let mut asked = request.clone();
    for kind in &kinds {
        fault_injection::before(shared, state, &mut asked, &mut found, kind);
    }
    if origin == Origin::Cdn && matches!(found, Found::File(_)) && !state.signatures.spend(request) {
        found = Found::Refusal(routes::expired());
    }
    let mut reply = reply(shared, state, &asked, found);
    let (mut status, mut plans) = (None, Vec::new());
    for kind in kinds {
        match kind {
            FaultKind::Publish(planned) => plans.push(planned.0),
            FaultKind::Cut(At::BeforeHead) | FaultKind::Reset(At::BeforeHead) => {
                status = Some(0);
                fault_injection::after(shared, origin, request, &mut reply, kind);
            }
            kind => fault_injection::after(shared, origin, request, &mut reply, kind),
        }
    }
    let seen = Seen::new(line, request, path.as_deref(), status.unwrap_or(reply.status));
    let sent = seen.counter();
    state.ledger.seen.push(seen);
    for plan in &plans {
        state.repos.publish(plan);
    }
    Exchange { reply, is_head: request.is_head(), sent }
}
