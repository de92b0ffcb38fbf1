//! A cache that is bounded in number and in weight. What has not been used for longest goes first, and nothing goes while it
//! is in use. Pure.

use std::{collections::HashMap, sync::Arc};

use crate::tenants::TenantId;

/// What is kept of tenants between their runs.
#[derive(Debug)]
pub(super) struct Cache<T> {
    kept: HashMap<TenantId, Kept<T>>,
    max_number: usize,
    max_weight: usize,
    /// What all weigh together.
    weight: usize,
    /// The number of uses so far.
    uses: u64,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    last_use: u64,
    weight: usize,
}

impl<T> Cache<T> {
    /// Makes an empty cache.
    pub(super) fn new(max_number: usize, max_weight: usize) -> Self {
        Self { kept: HashMap::new(), max_number, max_weight, weight: 0, uses: 0 }
    }

    /// Returns what is kept of a tenant, and counts that as a use.
    pub(super) fn get(&mut self, id: &TenantId) -> Option<Arc<T>> {
        let last_use = self.next_use();
        let kept = self.kept.get_mut(id)?;
        kept.last_use = last_use;
        Some(kept.value.clone())
    }

    /// Keeps a value, in place of the tenant's earlier one.
    pub(super) fn insert(&mut self, id: TenantId, value: Arc<T>) {
        let last_use = self.next_use();
        let earlier = self.kept.insert(id, Kept { value, last_use, weight: 0 });
        self.weight -= earlier.map_or(0, |kept| kept.weight);
        while self.kept.len() > self.max_number
            && let Some(id) = self.oldest(|_| true)
        {
            self.weight -= self.kept.remove(&id).map_or(0, |kept| kept.weight);
        }
    }

    /// Sets the weight of a tenant. Returns the tenants that must drop what they weigh, so that the rest is within the
    /// limit.
    pub(super) fn weigh(&mut self, id: &TenantId, weight: usize) -> Vec<Arc<T>> {
        if let Some(kept) = self.kept.get_mut(id) {
            self.weight = self.weight - kept.weight + weight;
            kept.weight = weight;
        }
        let mut too_much = Vec::new();
        while self.weight > self.max_weight
            && let Some(kept) = self.oldest(|kept| kept.weight > 0).and_then(|id| self.kept.get_mut(&id))
        {
            self.weight -= std::mem::take(&mut kept.weight);
            too_much.push(kept.value.clone());
        }
        too_much
    }

    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// Returns which tenant has not been used for longest, of those that are wanted and not in use.
    fn oldest(&self, is_wanted: impl Fn(&Kept<T>) -> bool) -> Option<TenantId> {
        let idle =
            self.kept.iter().filter(|(_, kept)| Arc::strong_count(&kept.value) == 1 && is_wanted(kept));
        idle.min_by_key(|(_, kept)| kept.last_use).map(|(id, _)| id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TenantId {
        TenantId::parse(&format!("00000000-0000-0000-0000-{number:012}")).expect("a GUID")
    }

    /// A cache of three tenants' own numbers, used in their order.
    fn cache() -> Cache<usize> {
        let mut cache = Cache::new(3, 100);
        (1..=3).for_each(|number| cache.insert(id(number), Arc::new(number)));
        cache
    }

    fn numbers(cache: &Cache<usize>) -> Vec<usize> {
        let mut numbers: Vec<_> = cache.kept.values().map(|kept| *kept.value).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn what_has_not_been_used_for_longest_makes_room() {
        let mut cache = cache();
        assert_eq!(cache.get(&id(1)).as_deref(), Some(&1));
        cache.insert(id(4), Arc::new(4));
        assert_eq!(numbers(&cache), [1, 3, 4]);
        assert_eq!(cache.get(&id(2)), None);
        cache.insert(id(3), Arc::new(33));
        assert_eq!(numbers(&cache), [1, 4, 33]);
    }

    #[test]
    fn what_goes_takes_its_weight_with_it() {
        let mut cache = cache();
        for number in 1..=3 {
            assert!(cache.weigh(&id(number), 30).is_empty());
        }
        cache.insert(id(4), Arc::new(4));
        cache.insert(id(2), Arc::new(22));
        assert_eq!(numbers(&cache), [3, 4, 22]);
        assert!(cache.weigh(&id(4), 70).is_empty(), "only the third still has its weight");
        assert_eq!(cache.weigh(&id(2), 1).iter().map(|value| **value).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut cache = cache();
        let (first, second) = (cache.get(&id(1)), cache.get(&id(2)));
        assert_eq!(cache.get(&id(3)).as_deref(), Some(&3));
        cache.insert(id(4), Arc::new(4));
        assert_eq!(numbers(&cache), [1, 2, 4]);
        let fourth = cache.get(&id(4));
        cache.insert(id(5), Arc::new(5));
        assert_eq!(numbers(&cache), [1, 2, 4], "the newest makes room where nothing else can");
        drop((first, second, fourth));
        cache.insert(id(6), Arc::new(6));
        assert_eq!(numbers(&cache), [2, 4, 6]);
    }

    #[test]
    fn the_longest_unused_drop_their_weight_until_the_rest_is_within_the_limit() {
        let mut cache = cache();
        assert!(cache.weigh(&id(1), 60).is_empty());
        assert!(cache.weigh(&id(2), 40).is_empty());
        let third = cache.get(&id(3));
        let heavy = cache.weigh(&id(3), 70);
        assert_eq!(heavy.iter().map(|value| **value).collect::<Vec<_>>(), [1, 2]);
        drop(heavy);
        // What they weigh now is known after their next run.
        assert!(cache.weigh(&id(1), 30).is_empty());
        // Of what is in use nothing can be dropped.
        let second = cache.get(&id(2));
        assert_eq!(cache.weigh(&id(2), 80).iter().map(|value| **value).collect::<Vec<_>>(), [1]);
        drop((second, third));
        assert_eq!(cache.weigh(&id(1), 1).iter().map(|value| **value).collect::<Vec<_>>(), [1, 3]);
    }
}
