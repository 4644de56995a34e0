//! Lists recorded models a page at a time.
//!
//! # Memory
//! A catalog keeps its records in an order of its own, and a person reads them by id. So the listing goes over the catalog
//! once for the ids, and then reads the records again, a page at a time. A catalog of one page is read once. Memory grows with
//! the ids alone.

use std::{fmt, sync::Arc};

use artifact_store::LeftoverEntry;
use futures_util::future::BoxFuture;
use provisioner_core::{CatalogRecord, DamagedRecord, Versioned};

use super::list::{ListedModel, leftovers, listed};
use crate::{context::Context, error::Result};

/// How many models a page has at the most.
const MAX_MODELS: usize = 256;

/// How many files the models of a page have together before it ends.
const ENOUGH_FILES: usize = 4096;

/// Lists the models of the catalog a page at a time, in the order of their ids. A caller that looks at each model once holds no
/// more than a page of them, however many there are.
///
/// A model that another process removes between the first page and its own is left out.
pub struct ModelPages {
    ctx: Arc<Context>,
    /// The ids, in order, each with the number of its files.
    ids: Vec<(Box<str>, usize)>,
    /// How many of the ids the caller has had.
    done: usize,
    /// The models of a catalog of one page.
    only: Vec<ListedModel>,
    damaged: Vec<DamagedRecord>,
    leftovers: Vec<LeftoverEntry>,
}

/// Begins a listing.
pub(crate) async fn pages(ctx: &Arc<Context>) -> Result<ModelPages> {
    let leftovers = ctx.run_blocking(|ctx| Ok(leftovers(ctx))).await?;
    let (mut ids, mut damaged, mut only, mut start) = (Vec::new(), Vec::new(), Vec::new(), None);
    loop {
        let page = ctx.catalog.page(start.as_ref()).await?;
        damaged.extend(page.damaged);
        let id_of = |record: &CatalogRecord| (record.id.as_str().into(), record.files.len());
        ids.extend(page.records.iter().map(|found| id_of(&found.record)));
        if start.is_none() && page.next.is_none() {
            only = read(ctx, page.records).await?;
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    ids.sort_unstable();
    damaged.sort_unstable_by(|a: &DamagedRecord, b| a.location.cmp(&b.location));
    Ok(ModelPages { ctx: Arc::clone(ctx), ids, done: 0, only, damaged, leftovers })
}

/// Returns records as models, in the order of their ids.
async fn read(ctx: &Arc<Context>, records: Vec<Versioned>) -> Result<Vec<ListedModel>> {
    let models = ctx.run_blocking(move |ctx| {
        let mut records: Vec<_> = records.into_iter().map(|found| found.record).collect();
        records.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(records.into_iter().map(|record| listed(ctx, record)).collect())
    });
    models.await
}

impl ModelPages {
    /// Returns the next models, as the catalog has them now; `None` after the last one. A caller that drops the future gets the
    /// same models from the next call.
    ///
    /// # Errors
    /// The catalog fails.
    pub fn next_page(&mut self) -> BoxFuture<'_, Result<Option<Vec<ListedModel>>>> {
        Box::pin(self.read_next())
    }

    /// Returns how many models the catalog had when the listing began.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Returns the records that the catalog cannot read, as far as the listing has seen them: at first those of its beginning.
    pub fn damaged(&self) -> &[DamagedRecord] {
        &self.damaged
    }

    /// Returns the other files of the store: unfinished transfers, and files that failed a check.
    pub fn leftovers(&self) -> &[LeftoverEntry] {
        &self.leftovers
    }

    async fn read_next(&mut self) -> Result<Option<Vec<ListedModel>>> {
        if !self.only.is_empty() {
            self.done = self.ids.len();
            return Ok(Some(std::mem::take(&mut self.only)));
        }
        while self.done < self.ids.len() {
            let ids = self.next_ids();
            let found = self.ctx.catalog.get_several(&ids).await?;
            let page = read(&self.ctx, found.records).await?;
            self.damaged.extend(found.damaged);
            self.done += ids.len();
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Returns the ids of the next page. A model of many files may be alone on it.
    fn next_ids(&self) -> Vec<String> {
        let mut files = 0;
        let fits = |(_, count): &&(Box<str>, usize)| {
            let has_room = files < ENOUGH_FILES;
            files += count;
            has_room
        };
        let next = self.ids[self.done..].iter().take(MAX_MODELS).take_while(fits);
        next.map(|(id, _)| id.to_string()).collect()
    }
}

impl fmt::Debug for ModelPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelPages")
            .field("count", &self.count())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
