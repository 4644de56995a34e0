//! Does one piece of work per id in this process.
//!
//! # Model
//! The first caller of an id leads; a caller that comes while the leader works follows. The leader holds the flight's
//! mutex while it works, and leaves its outcome behind. A follower that gets the mutex takes that outcome if it asked for
//! the same thing, and otherwise joins the next flight.
//!
//! # Cancellation
//! When the caller drops the leader's future, the mutex is free and has no outcome, and the follower that gets it leads.
//! The last caller of a flight removes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
};

use tokio::sync::Mutex;

/// Holds the work that goes on for each id. `Q` is what a caller asked for beside the id; `T` is the outcome.
#[derive(Debug)]
pub(crate) struct SingleFlight<Q, T> {
    flights: StdMutex<HashMap<String, Arc<Flight<Q, T>>>>,
}

/// `None` until the leader is done.
type Flight<Q, T> = Mutex<Option<(Q, T)>>;

impl<Q, T> Default for SingleFlight<Q, T> {
    fn default() -> Self {
        Self { flights: StdMutex::default() }
    }
}

impl<Q: PartialEq + Clone, T: Clone> SingleFlight<Q, T> {
    /// Returns the outcome of `work`. Where the same work goes on already, drops `work` unbegun and returns the outcome
    /// of the other.
    pub(crate) async fn join(&self, id: &str, asked: &Q, work: impl Future<Output = T>) -> T {
        loop {
            let seat = Seat { flights: self, id, flight: self.board(id) };
            let mut landed = seat.flight.lock().await;
            match landed.as_ref() {
                Some((done, outcome)) if done == asked => return outcome.clone(),
                // The outcome is of another question, and a new flight of this id may have begun.
                Some(_) => {}
                None => {
                    let outcome = work.await;
                    *landed = Some((asked.clone(), outcome.clone()));
                    self.leave(id, &seat.flight);
                    return outcome;
                }
            }
        }
    }

    fn board(&self, id: &str) -> Arc<Flight<Q, T>> {
        Arc::clone(self.lock().entry(id.to_owned()).or_default())
    }

    /// Removes a flight from the board, so that the next caller begins a new one.
    fn leave(&self, id: &str, flight: &Arc<Flight<Q, T>>) {
        let mut flights = self.lock();
        if flights.get(id).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            flights.remove(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Flight<Q, T>>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds one caller's seat on a flight.
struct Seat<'a, Q: PartialEq + Clone, T: Clone> {
    flights: &'a SingleFlight<Q, T>,
    id: &'a str,
    flight: Arc<Flight<Q, T>>,
}

impl<Q: PartialEq + Clone, T: Clone> Drop for Seat<'_, Q, T> {
    fn drop(&mut self) {
        // No caller boards while this one has the lock of the board: two owners are the board and this seat.
        let mut flights = self.flights.lock();
        let is_last = flights
            .get(self.id)
            .is_some_and(|current| Arc::ptr_eq(current, &self.flight) && Arc::strong_count(current) == 2);
        if is_last {
            flights.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::{Notify, Semaphore};

    #[tokio::test]
    async fn followers_share_the_work_of_the_leader() {
        let flights = Arc::new(SingleFlight::<u8, usize>::default());
        let (count, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (flights, count, gate) = (flights.clone(), count.clone(), gate.clone());
                tokio::spawn(async move {
                    flights
                        .join("id", &1, async {
                            let _permit = gate.acquire().await;
                            count.fetch_add(1, Ordering::SeqCst)
                        })
                        .await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(1);
        for task in tasks {
            assert_eq!(task.await.unwrap(), 0);
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_follower_takes_over_from_a_dropped_leader() {
        let flights = Arc::new(SingleFlight::<u8, &str>::default());
        let started = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (flights, started) = (flights.clone(), started.clone());
            async move {
                flights
                    .join("id", &1, async {
                        started.notify_one();
                        std::future::pending().await
                    })
                    .await
            }
        });
        started.notified().await;
        let follower = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join("id", &1, async { "follower" }).await }
        });
        tokio::task::yield_now().await;
        leader.abort();
        assert_eq!(follower.await.unwrap(), "follower");
        assert!(leader.await.is_err());
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn another_question_gets_its_own_answer() {
        let flights = Arc::new(SingleFlight::<u8, u8>::default());
        let gate = Arc::new(Semaphore::new(0));
        let first = tokio::spawn({
            let (flights, gate) = (flights.clone(), gate.clone());
            async move {
                flights
                    .join("id", &1, async {
                        let _ = gate.acquire().await;
                        1
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        let second = tokio::spawn({
            let flights = flights.clone();
            async move { flights.join("id", &2, async { 2 }).await }
        });
        tokio::task::yield_now().await;
        gate.add_permits(1);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 2));
        assert!(flights.lock().is_empty());
    }
}
