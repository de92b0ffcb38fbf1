//! NCRONTAB: the six fields second, minute, hour, day, month and day of the week, as the host's library `NCrontab` reads
//! them: lists, ranges in either direction, steps, and the beginnings of English names. Pure.

/// A schedule: the values of its fields, as a bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ncrontab([u64; 6]);

impl Ncrontab {
    /// Parses the six fields.
    ///
    /// # Errors
    /// Returns which field is wrong, and what is wrong with it.
    pub(super) fn parse(fields: [&str; 6]) -> Result<Self, String> {
        let mut values = [0; 6];
        for ((field, text), bits) in FIELDS.iter().zip(fields).zip(&mut values) {
            *bits = field.values(text).map_err(|what| format!("{text} {what}"))?;
        }
        Ok(Self(values))
    }

    /// Returns true if the calendar has a day of these days of the month in one of these months.
    pub(super) fn has_day(self) -> bool {
        const LENGTHS: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let [_, _, _, days, months, _] = self.0;
        (1..).zip(LENGTHS).any(|(month, length)| months >> month & 1 == 1 && days & ((2 << length) - 1) != 0)
    }

    /// Returns how often the schedule fires in an hour in which it fires, which is what a quota per hour limits.
    pub(super) fn times_an_hour(self) -> u32 {
        let [seconds, minutes, ..] = self.0;
        seconds.count_ones() * minutes.count_ones()
    }
}

/// One of the six fields.
struct CronField {
    name: &'static str,
    min: u32,
    max: u32,
    /// The name of each value, beginning with `min`; empty if only numbers are allowed.
    names: &'static [&'static str],
}

const FIELDS: [CronField; 6] = [
    CronField { name: "second", min: 0, max: 59, names: &[] },
    CronField { name: "minute", min: 0, max: 59, names: &[] },
    CronField { name: "hour", min: 0, max: 23, names: &[] },
    CronField { name: "day of the month", min: 1, max: 31, names: &[] },
    CronField {
        name: "month",
        min: 1,
        max: 12,
        names: &[
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
    },
    CronField {
        name: "day of the week",
        min: 0,
        max: 6,
        names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    },
];

impl CronField {
    /// Returns the values that `text` names, as a bit each, or what is wrong with `text`.
    fn values(&self, text: &str) -> Result<u64, String> {
        let Self { name, min, max, .. } = self;
        let has_zero_step = |part: &str| {
            let step = part.split_once('/').and_then(|(_, step)| step.parse().ok());
            step.is_some_and(|step: u32| step == 0)
        };
        // The host reads it as a step of one, which is hardly what is meant.
        if text.split(',').any(has_zero_step) {
            return Err(format!("is not a valid {name}: a step must be 1 or more"));
        }
        // All values are below 64, so each fits a bit.
        let bits = text.split(',').try_fold(0_u64, |bits, part| Some(bits | self.part(part)?));
        bits.ok_or_else(|| format!("is not a valid {name}, which is from {min} to {max}"))
    }

    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.max),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.max } else { value })
            }
        };
        let values = (first.min(last)..=first.max(last)).step_by(step.unwrap_or(1) as usize);
        Some(values.fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let value = if text.starts_with(|first: char| first.is_ascii_digit()) {
            text.parse().ok()?
        } else {
            let text = Some(text.to_ascii_lowercase()).filter(|text| !text.is_empty())?;
            let place = self.names.iter().position(|name| name.starts_with(&text))?;
            self.min + u32::try_from(place).ok()?
        };
        (self.min..=self.max).contains(&value).then_some(value)
    }
}
