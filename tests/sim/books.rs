//! Everything that the application was told of ended sessions against every session that there was.
//!
//! In: notices, and accounts of clients that are over. Out: nothing, or a panic. Each notice is of one session and each
//! session is told of once; who does not know its key is found by what fits. What a publisher was told of its readers is
//! what clients saw and what is listed, to the last one.

use super::account::{Account, Facts, Fit, Kind, OTHER_TIME};
use super::chance::Totals;
use super::driver::Driver;
use super::feed::Notice;
use super::model::{Item, Model, Place};
use super::patterns::check_orders;
use super::slow::dropped_for;
use std::collections::{BTreeMap, BTreeSet};

/// The record of a run.
#[derive(Default)]
pub struct Books {
    pub notices: Vec<Notice>,
    pub accounts: Vec<Account>,
    pub kicks: Vec<Kick>,
    /// Every notice was, and will be, read as soon as it is there.
    pub steady: bool,
    /// Up to this turn every notice was read.
    pub read_turn: u64,
}

/// The application's wish to end a user's sessions.
#[derive(Debug)]
pub struct Kick {
    pub user: &'static str,
    /// In which turns it was asked for, and answered.
    pub turns: (u64, Option<u64>),
    /// How many sessions it ended, as the application is told.
    pub ended: u64,
}

/// Whether and since when a session that began in turn `begun` may have been kicked as one of `users`.
pub fn kicked(kicks: &[Kick], users: &[Option<String>], begun: u64) -> Option<u64> {
    let theirs = |kick: &&Kick| {
        let late = kick.turns.1.is_none_or(|answered| answered >= begun);
        late && users.iter().flatten().any(|user| user == kick.user)
    };
    kicks.iter().filter(theirs).map(|kick| kick.turns.0).min()
}

impl Books {
    /// At the end, with every session over.
    pub fn settle(&self, net: &Driver, model: &mut Model) -> Totals {
        let mut totals = Totals::default();
        let lists: Vec<Vec<Item>> = self
            .notices
            .iter()
            .map(|notice| model.listed(notice))
            .collect();
        let facts = Facts {
            net,
            model,
            kicks: &self.kicks,
            steady: self.steady,
        };
        let (told, fits) = self.tell_apart(&lists, &facts);
        let mut lost: Vec<(&Account, Option<u64>)> = Vec::new();
        for (at, account) in self.accounts.iter().enumerate() {
            let number = told.iter().position(|by| *by == Some(at));
            let cut = number.is_some_and(|number| self.notices[number].cut > 0);
            assert!(
                number.is_some() || !account.certain || !self.steady,
                "nobody is told that {} ended, {:?} {:?}",
                account.name,
                account.kind,
                account.key
            );
            let bare = matches!(account.kind, Kind::Socket | Kind::Reader);
            if cut || account.lossy || (bare && !account.whole) {
                let told = number.map(|number| self.notices[number].turns.1);
                lost.push((account, told));
            }
        }
        for fit in fits.into_iter().flatten() {
            totals.count(if fit.flying {
                "sign-offs: fit with an acknowledgement in flight"
            } else {
                "sign-offs: fit exactly"
            });
            totals.add(
                "sign-offs: messages listed and never seen",
                fit.unseen.len() as u64,
            );
            model.count_listed(&fit.unseen);
        }
        model.check_places();
        model.check_outdated();
        check_orders(&self.accounts, model);
        if self.steady {
            let missed: Vec<(&Account, bool)> = self.missed(&told);
            let slack = model.check_readers(|item, place, known| {
                lost_by(&lost, item, place, known) + dropped_for(&missed, model, item)
            });
            totals.add(
                "sign-offs: messages that only a lost connection explains",
                slack,
            );
        }
        totals
    }

    /// Which notice is of which session, and how it fits.
    fn tell_apart(
        &self,
        lists: &[Vec<Item>],
        facts: &Facts<'_>,
    ) -> (Vec<Option<usize>>, Vec<Option<Fit>>) {
        let keys: BTreeMap<&str, usize> = self
            .accounts
            .iter()
            .enumerate()
            .filter_map(|(at, account)| Some((account.key.as_deref()?, at)))
            .collect();
        let mut told_keys = BTreeSet::new();
        let (mut told, mut fits) = (vec![None; lists.len()], Vec::new());
        let mut edges: Vec<Vec<usize>> = vec![Vec::new(); lists.len()];
        for (number, notice) in self.notices.iter().enumerate() {
            let key = notice.session.as_str();
            assert!(told_keys.insert(key), "the end of {key} is told twice");
            if let Some(at) = keys.get(key) {
                let fit = self.accounts[*at].fit(notice, &lists[number], facts);
                fits.push(Some(
                    fit.unwrap_or_else(|why| self.refute(number, &[(*at, why)])),
                ));
                told[number] = Some(*at);
                continue;
            }
            fits.push(None);
            let mut refuted = Vec::new();
            for (at, account) in self.accounts.iter().enumerate() {
                match account.fit(notice, &lists[number], facts) {
                    _ if account.key.is_some() => {}
                    Ok(_) => edges[number].push(at),
                    Err(why) => refuted.push((at, why)),
                }
            }
            if edges[number].is_empty() {
                self.refute(number, &refuted);
            }
        }
        self.match_rest(&edges, &mut told);
        for (number, by) in told.iter().enumerate() {
            if let (None, Some(at)) = (&fits[number], by) {
                let fit = self.accounts[*at].fit(&self.notices[number], &lists[number], facts);
                fits[number] = fit.ok();
            }
        }
        (told, fits)
    }

    /// Gives every notice without a known key a session of its own that it fits, certain ones first.
    fn match_rest(&self, edges: &[Vec<usize>], told: &mut [Option<usize>]) {
        let mut by_account: BTreeMap<usize, usize> = BTreeMap::new();
        let certain = |at: &usize| self.accounts[*at].certain;
        for (at, _) in self
            .accounts
            .iter()
            .enumerate()
            .filter(|(at, _)| certain(at))
        {
            // From this session's side, so that it is told of if any matching tells of it.
            let mut visited = BTreeSet::new();
            find_notice(at, edges, &mut by_account, &mut visited);
        }
        let mut by_notice: BTreeMap<usize, usize> = by_account
            .iter()
            .map(|(at, number)| (*number, *at))
            .collect();
        for number in 0..edges.len() {
            if !edges[number].is_empty() && !by_notice.contains_key(&number) {
                let mut visited = BTreeSet::new();
                let found = find_account(number, edges, &mut by_notice, &mut visited);
                assert!(
                    found,
                    "two notices are of one session: {:?}",
                    self.notices[number]
                );
            }
        }
        by_notice
            .iter()
            .for_each(|(number, at)| told[*number] = Some(*at));
    }

    fn refute(&self, number: usize, why: &[(usize, String)]) -> ! {
        let notice = &self.notices[number];
        let entry =
            |entry: &super::feed::Entry| (entry.id, entry.place.clone(), entry.user.clone());
        let listed: Vec<_> = notice.undelivered.iter().map(entry).collect();
        let why: Vec<String> = why
            .iter()
            .filter(|(_, why)| why != OTHER_TIME)
            .map(|(at, why)| {
                format!(
                    "  {} {:?}: {why}",
                    self.accounts[*at].name, self.accounts[*at].kind
                )
            })
            .collect();
        panic!(
            "the end of {} ({:?}, {}, turns {:?}, {} ms, cut {}) fits nobody: {listed:?}\n{}",
            notice.session,
            notice.user,
            notice.reason,
            notice.turns,
            notice.at,
            notice.cut,
            why.join("\n")
        );
    }
}

/// Of accounts by notices: finds a notice for account `at`, moving others over if need be.
fn find_notice(
    at: usize,
    edges: &[Vec<usize>],
    by_account: &mut BTreeMap<usize, usize>,
    visited: &mut BTreeSet<usize>,
) -> bool {
    for (number, _) in edges.iter().enumerate().filter(|(_, to)| to.contains(&at)) {
        if !visited.insert(number) {
            continue;
        }
        let holder = by_account
            .iter()
            .find(|(_, held)| **held == number)
            .map(|(at, _)| *at);
        if holder.is_none_or(|holder| find_notice(holder, edges, by_account, visited)) {
            by_account.insert(at, number);
            return true;
        }
    }
    false
}

/// The same the other way; who has a notice keeps one.
fn find_account(
    number: usize,
    edges: &[Vec<usize>],
    by_notice: &mut BTreeMap<usize, usize>,
    visited: &mut BTreeSet<usize>,
) -> bool {
    for at in &edges[number] {
        if !visited.insert(*at) {
            continue;
        }
        let holder = by_notice
            .iter()
            .find(|(_, held)| *held == at)
            .map(|(number, _)| *number);
        if holder.is_none_or(|holder| find_account(holder, edges, by_notice, visited)) {
            by_notice.insert(number, *at);
            return true;
        }
    }
    false
}

/// How many sessions may have been given a message that was lost with their connection, or cut off their list: it was
/// on its way in the turns of `known`, to the channel and place of `place`.
fn lost_by(
    lost: &[(&Account, Option<u64>)],
    item: Item,
    place: Option<(usize, Option<&Place>)>,
    known: (u64, Option<u64>),
) -> usize {
    let may = |(account, told): &&(&Account, Option<u64>)| {
        let there = known.1.is_none_or(|turn| account.begun <= turn)
            && told.is_none_or(|told| known.0 <= told);
        let seen = account.seen.iter().any(|(_, seen)| *seen == item);
        let reads = place.is_none_or(|(channel, place)| {
            let topic = account.topics.get(&channel);
            let named = topic.is_some_and(|topic| topic.leaves || !topic.is_behind(place));
            named || account.wide.reads(channel)
        });
        there && !seen && reads
    };
    lost.iter().filter(may).count()
}
