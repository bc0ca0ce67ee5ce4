//! Policies by number, so that a channel's row holds two bytes of what a rule said in a line.
//!
//! In: names of channels. Out: the number of a name's policy, and the policy of a number. Each policy is here once; a
//! name is compared with the rules when its channel is made, not when something is published to it.

use super::{Hub, Kind, Scope, names};
use crate::config::policy::{History, Policies, Policy, RULES_MAX};
use crate::ids::PolicyId;

/// The rules, and every policy that they came to so far.
#[derive(Debug, Default)]
pub struct Book {
    policies: Policies,
    default: Policy,
    /// Those that are not the default, in the order in which they were asked for.
    resolved: Vec<Policy>,
    /// What is kept of each of the node's own channels; no rule names them.
    events: Option<History>,
}

impl Book {
    /// A book of these rules.
    #[must_use]
    pub fn new(policies: Policies) -> Self {
        Self {
            default: policies.base(),
            policies,
            resolved: Vec::new(),
            events: None,
        }
    }

    /// Whether events for the application are kept.
    #[must_use]
    pub fn keeps_events(&self) -> bool {
        self.events.is_some()
    }

    /// Whether there is no rule, so that every name's policy is the default.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.policies.rules().is_empty()
    }

    /// Whether there are so few rules that a name is compared with them sooner than looked up, and none matches it.
    fn is_passed_by(&self, name: &str) -> bool {
        let rules = self.policies.rules();
        rules.len() <= FEW && !rules.iter().any(|rule| rule.matches(name))
    }

    /// The number of the policy of the channel called `name`.
    pub fn id_of(&mut self, name: &str) -> PolicyId {
        let policy = match names::is_own(name) {
            true => Policy {
                history: self.events,
                ..Policy::default()
            },
            false if self.is_plain() => return PolicyId::DEFAULT,
            false => self.policies.of(name),
        };
        if policy == self.default {
            return PolicyId::DEFAULT;
        }
        let known = self.resolved.iter().position(|other| *other == policy);
        let at = known.unwrap_or_else(|| {
            self.resolved.push(policy);
            self.resolved.len() - 1
        });
        PolicyId(at as u16 + 1)
    }

    /// The policy of a number that this book gave.
    #[must_use]
    pub fn get(&self, id: PolicyId) -> &Policy {
        let at = usize::from(id.0).checked_sub(1);
        at.and_then(|at| self.resolved.get(at))
            .unwrap_or(&self.default)
    }
}

impl Hub {
    /// The same hub with these rules, which must come before any channel.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Self {
        self.book = Book::new(policies);
        self
    }

    /// The same hub that keeps so much of each kind of event for the application.
    #[must_use]
    pub fn with_events(mut self, kept: Option<History>) -> Self {
        self.book.events = kept;
        self
    }

    /// What holds for the channel called `name`, whether it exists or not.
    pub fn policy(&mut self, name: &str) -> &Policy {
        let id = self.policy_id(name);
        self.book.get(id)
    }

    /// The number of that policy, by which others remember it.
    pub fn policy_id(&mut self, name: &str) -> PolicyId {
        if self.book.is_passed_by(name) {
            return PolicyId::DEFAULT;
        }
        let row = self
            .find(Scope::Channel, name)
            .and_then(|id| self.channels.get(id));
        match row.map(|row| &row.kind) {
            Some(Kind::Channel(_, policy, _)) => *policy,
            _ => self.book.id_of(name),
        }
    }

    /// The policy of a number that this hub gave.
    #[must_use]
    pub fn policy_of(&self, id: PolicyId) -> &Policy {
        self.book.get(id)
    }
}

/// A comparison is some ten instructions, a look-up some hundred. A node that is given no rule has one, for its demo.
const FEW: usize = 4;

// A rule either names one channel or holds for all with a prefix, at one depth or at any; so the longest prefix that a name
// has among the rules, or the rule that names it, tells all that match. Names come to at most one policy more than there
// are rules, and a number never runs over. The node's own channels have one
// more in common.
const _: () = assert!(RULES_MAX < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rule::Rule;
    use crate::ids::SessionId;
    use crate::mem::Seat;
    use crate::rng::Rng;
    use std::num::NonZeroU32;

    fn hub(rules: &[&str]) -> Hub {
        let rules = rules.iter().map(|text| Rule::parse(text).unwrap());
        let policies = Policies::new(rules.collect());
        Hub::new(100, 1 << 20, &mut Rng::new([1; 32])).with_policies(policies)
    }

    #[test]
    fn names_of_one_policy_have_one_number() {
        let mut hub = hub(&["a/** presence", "b presence", "c history=1"]);
        let ids = ["a/1", "a/2/3", "b", "c", "d"].map(|name| hub.policy_id(name));
        assert_eq!(ids, [1, 1, 1, 2, 0].map(PolicyId));
        for (name, id) in ["a/1", "a/2/3", "b", "c", "d"].into_iter().zip(ids) {
            let policy = hub.policy(name).clone();
            assert_eq!(&policy, hub.policy_of(id));
            assert_eq!(policy, hub.book.policies.of(name));
        }
        assert_eq!(hub.book.resolved.len(), 2);
    }

    #[test]
    fn many_rules_say_the_same_as_few() {
        let rules = ["a/** presence", "b presence", "c history=1"];
        let (mut few, mut many) = (
            hub(&rules),
            hub(&[&rules[..], &["x/* rate=1/s"; FEW]].concat()),
        );
        for name in ["a/1", "a/2/3", "b", "c", "d", "a"] {
            assert_eq!(few.policy(name), many.policy(name), "{name}");
        }
    }

    #[test]
    fn a_channel_that_exists_has_its_policy_in_its_row() {
        let mut hub = hub(&["a/** presence"]);
        let mut seat = Seat::default();
        let session = SessionId::new(0, NonZeroU32::MIN);
        hub.subscribe(session, &mut seat, "a/1", 9).unwrap();
        let before = hub.policy_id("a/1");
        // No rule is left to match, and there are too many to compare them first: the row still says it.
        hub.book.policies = Policies::new(vec![Rule::parse("x presence").unwrap(); FEW + 1]);
        assert_eq!(hub.policy_id("a/1"), before);
        assert_eq!(hub.policy_id("a/2"), PolicyId::DEFAULT);
    }

    #[test]
    fn rules_do_not_reach_users_nor_the_nodes_own_channels() {
        let mut hub = hub(&["** publish=app", "* presence"]);
        assert_eq!(hub.policy_id(names::SIGNOFF), PolicyId::DEFAULT);
        let mut seat = Seat::default();
        let session = SessionId::new(0, NonZeroU32::MIN);
        hub.sign_on(session, &mut seat, "bob", b"").unwrap();
        assert_eq!(hub.book.resolved.len(), 0);
        assert_ne!(hub.policy_id("bob"), PolicyId::DEFAULT);
    }

    #[test]
    fn a_thousand_rules_have_a_number_each_and_no_more() {
        let patterns =
            |n: usize| ["a{n}", "b{n}/*", "c{n}/**", "**"][n % 4].replace("{n}", &n.to_string());
        let rules: Vec<String> = (0..RULES_MAX)
            .map(|n| format!("{} history={}", patterns(n), n + 1))
            .collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let mut hub = hub(&rules);
        for n in 0..RULES_MAX {
            for name in [
                format!("a{n}"),
                format!("b{n}/x"),
                format!("c{n}/x/y"),
                format!("d{n}"),
            ] {
                let policy = hub.policy(&name).clone();
                assert_eq!(policy, hub.book.policies.of(&name));
            }
        }
        assert!(hub.book.resolved.len() <= RULES_MAX);
    }

    #[test]
    fn a_rule_reaches_the_longest_name() {
        let mut hub = hub(&["a/** presence"]);
        let longest = format!("a/{}", "x".repeat(253));
        assert!(names::channel(&longest).is_ok());
        assert_ne!(hub.policy_id(&longest), PolicyId::DEFAULT);
    }
}
