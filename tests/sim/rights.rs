//! Who may subscribe and publish, and how fast.
//!
//! In: chance, what is asked and answered. Out: rules, or a panic: whoever may is not refused and who may not is, and what
//! was refused has no effect (`model` holds that).

use super::chance::Chance;
use super::model::{CHANNELS, Model};
use super::peer::{Call, Peer};
use super::scene::Scene;
use orbited::config::policy::Who;
use orbited::config::rule::Rule;
use std::collections::BTreeMap;

/// Draws rules that keep sessions out of some channels. Of [`CHANNELS`] the first is for everybody.
pub fn draw_rules(chance: &mut Chance) -> Vec<Rule> {
    let mut rules = Vec::new();
    for pattern in ["chat/**", "news/2009/*", CHANNELS[2]] {
        let key = chance.pick(&[
            "subscribe=user",
            "subscribe=app",
            "publish=user",
            "publish=app",
            "subscribe=user publish=user",
            "rate=2/s",
            "rate=1/s",
        ]);
        if !chance.one_in(3) {
            rules.push(Rule::parse(&format!("{pattern} {key}")).unwrap());
        }
    }
    rules
}

/// What a session has published to channels whose rule bounds how much that may be.
#[derive(Debug, Default, Clone)]
pub struct Spent {
    /// When the session began, at the earliest.
    begun: u64,
    /// By the first channel of equal rules: how often it asked, and how often it was allowed.
    counts: BTreeMap<usize, (u64, u64)>,
}

impl Spent {
    pub fn new(begun: u64) -> Self {
        Self {
            begun,
            ..Self::default()
        }
    }

    /// A publication is asked for.
    pub fn ask(&mut self, model: &Model, channel: usize) {
        self.counts.entry(first_like(model, channel)).or_default().0 += 1;
    }

    /// One is taken: no more than so many a second, and a second's worth at once.
    pub fn take(&mut self, model: &Model, channel: usize) -> bool {
        let Some(rate) = model.policies[channel].rate else {
            return false;
        };
        let counts = self.counts.entry(first_like(model, channel)).or_default();
        counts.1 += 1;
        let lived = model.now.saturating_sub(self.begun);
        let most = u64::from(rate.messages) * (2 + lived / 1_000) + 1;
        assert!(
            counts.1 <= most,
            "{} publications are taken in {lived} ms, at {rate:?}",
            counts.1
        );
        true
    }

    /// One is refused: it is not the first.
    pub fn check_refused(&self, model: &Model, channel: usize) {
        let rate = model.policies[channel].rate.expect("a rate");
        let asked = self.counts[&first_like(model, channel)].0;
        assert!(
            asked > u64::from(rate.messages),
            "one of {asked} is refused, at {rate:?}"
        );
    }
}

/// Channels of equal rules share what a session may publish.
fn first_like(model: &Model, channel: usize) -> usize {
    let policies = &model.policies;
    let first = policies
        .iter()
        .position(|policy| *policy == policies[channel]);
    first.unwrap_or(channel)
}

impl Model {
    /// Whether a rule may refuse a publication.
    pub fn has_gates(&self) -> bool {
        let gated = |policy: &orbited::config::policy::Policy| {
            policy.publish != Who::Anyone || policy.rate.is_some()
        };
        self.policies.iter().any(gated)
    }

    /// Who must be whom for a call; who may not be refused for that.
    fn needed(&self, call: &Call) -> Who {
        match call {
            Call::Subscribe(asked) | Call::History(asked) => self.policies[asked.channel].subscribe,
            Call::Cover(pattern) => self.pattern_policies[*pattern].subscribe,
            Call::Publish(number) | Call::PublishAgain(number) => {
                self.policies[self.publication(*number).channel].publish
            }
            _ => Who::Anyone,
        }
    }
}

impl Peer {
    /// A call was allowed. One that is answered late was perhaps made before the user was known.
    pub(super) fn may(&mut self, scene: &mut Scene, call: &Call) {
        let needed = scene.model.needed(call);
        let may = match needed {
            Who::Anyone => true,
            Who::User => self.user.is_some(),
            Who::App | Who::Token | Who::Ask => false,
        };
        assert!(may, "{}: {call:?} is for {needed:?}", self.name);
        if let Call::Publish(number) = call {
            let channel = scene.model.publication(*number).channel;
            if self.spent.take(&scene.model, channel) {
                scene.count("rights: taken in spite of a rate");
            }
        }
    }

    /// A call was refused to whoever it is now.
    pub(super) fn may_not(&self, scene: &mut Scene, call: &Call) {
        let refused = match scene.model.needed(call) {
            Who::Anyone => false,
            Who::User => self.user.is_none(),
            Who::App | Who::Token | Who::Ask => true,
        };
        assert!(
            refused,
            "{}: {call:?} is refused to {:?}",
            self.name, self.user
        );
        scene.count("rights: forbidden");
    }
}
