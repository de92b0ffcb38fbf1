//! The members of an object by name, each name once, in their order.

use std::{borrow::Cow, collections::HashMap};

use super::Member;

/// The number of members up to which a name is found by its bucket. Beyond that a hash table is used, which no choice
/// of names can make slow: with buckets alone, an object of a hundred thousand members would take minutes.
const FEW: usize = 255;

/// Members in their order, each name once.
#[derive(Debug)]
pub struct MemberMap<'a> {
    /// The members.
    pub list: Vec<Member<'a>>,
    /// The last member of each bucket, counted from 1.
    last: [u8; 256],
    /// For each member the one before it in its bucket, counted from 1.
    before: [u8; FEW],
    /// Where each name is, once there are more than a few.
    places: HashMap<Cow<'a, str>, usize>,
}

impl<'a> MemberMap<'a> {
    /// An empty map with room for `count` members.
    pub fn with_capacity(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), last: [0; 256], before: [0; FEW], places: HashMap::new() }
    }

    /// Adds a member, or gives the one of the same name its value.
    pub fn put(&mut self, member: Member<'a>) {
        match self.find(&member.name) {
            Some(place) => self.list[place].value = member.value,
            None => self.push(member),
        }
    }

    /// Returns the place of the member called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        if self.list.len() > FEW {
            return self.places.get(name).copied();
        }
        let mut number = self.last[bucket(name)];
        while number > 0 {
            let place = usize::from(number) - 1;
            if self.list[place].name == name {
                return Some(place);
            }
            number = self.before[place];
        }
        None
    }

    /// Adds a member whose name is not in the map.
    pub fn push(&mut self, member: Member<'a>) {
        self.list.push(member);
        self.index(self.list.len() - 1);
    }

    /// Makes the member at `place` one that is found. All members before it have been indexed.
    fn index(&mut self, place: usize) {
        let name = &self.list[place].name;
        match u8::try_from(place + 1) {
            Ok(number) => {
                let last = &mut self.last[bucket(name)];
                self.before[place] = std::mem::replace(last, number);
            }
            Err(_) => {
                if self.places.is_empty() {
                    self.places =
                        self.list[..place].iter().map(|known| known.name.clone()).zip(0..).collect();
                }
                self.places.insert(name.clone(), place);
            }
        }
    }
}

impl<'a> From<Vec<Member<'a>>> for MemberMap<'a> {
    /// Of members with the same name, the last one counts.
    fn from(mut members: Vec<Member<'a>>) -> Self {
        let mut rest = members.split_off(members.len().min(FEW));
        let mut map = Self { list: members, ..Self::with_capacity(0) };
        // Names nearly always differ: then the list stays as it is.
        for place in 0..map.list.len() {
            if map.find(&map.list[place].name).is_some() {
                let mut tail = map.list.split_off(place);
                tail.append(&mut rest);
                rest = tail;
                break;
            }
            map.index(place);
        }
        for member in rest {
            map.put(member);
        }
        map
    }
}

/// Names of one bucket are compared, so this need only distinguish most of them.
fn bucket(name: &str) -> usize {
    let bytes = name.as_bytes();
    let at = |place: usize| bytes.get(place).map_or(0, |byte| usize::from(*byte));
    let length = bytes.len();
    (length * 31 + at(0) * 7 + at(length / 2) * 61 + at(length.saturating_sub(2)) * 13) % 256
}
