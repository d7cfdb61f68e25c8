//! Quantities as people write them: times, sizes and rates, read alike in rule files and in flags.
//!
//! Knows neither keys nor places. A quantity is a number: milliseconds, bytes, or so many of something.

/// How a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Milliseconds: `30s`.
    Time,
    /// Bytes: `64MiB`.
    Size,
    /// A number of what the text names, where 0 is no bound.
    Rate(&'static str),
}

const TIMES: [(&str, u64); 5] = [("h", 3_600_000), ("m", 60_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// Compared without regard to case: nobody measures in millibits.
const SIZES: [(&str, u64); 7] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1000),
    ("b", 1),
];

/// What stands for no bound.
pub(super) const UNLIMITED: &str = "unlimited";

impl Measure {
    /// Reads a text; none where it is no such quantity.
    pub fn read(self, text: &str) -> Option<u64> {
        if matches!(self, Self::Rate(_)) && text == UNLIMITED {
            return Some(0);
        }
        let digits = text.find(|found: char| !found.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number = match number.parse() {
            Ok(number) => number,
            // Too long a number is one that is out of any range.
            Err(_) if number.is_empty() => return None,
            Err(_) => u64::MAX,
        };
        let of = match (self, unit.trim()) {
            (_, "") => return Some(self.number(number)),
            (Self::Time, unit) => TIMES.iter().find(|(name, _)| *name == unit)?.1,
            (Self::Size, unit) => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
            (Self::Rate(_), _) => return None,
        };
        Some(number.saturating_mul(of))
    }

    /// What a number without a unit means.
    pub(crate) fn number(self, number: u64) -> u64 {
        if self == Self::Time { number.saturating_mul(1000) } else { number }
    }

    /// Writes a quantity as it could have been read.
    pub fn show(self, quantity: u64) -> String {
        let whole = |units: &'static [(&str, u64)]| units.iter().find(|(_, of)| quantity.is_multiple_of(*of));
        match self {
            Self::Rate(_) if quantity == 0 => UNLIMITED.to_owned(),
            Self::Time if quantity > 0 => {
                whole(&TIMES).map_or_else(String::new, |(unit, of)| format!("{}{unit}", quantity / of))
            }
            Self::Size if quantity > 0 => match whole(&SIZES[..3]) {
                Some((unit, of)) => format!("{}{}iB", quantity / of, unit[..1].to_uppercase()),
                None => quantity.to_string(),
            },
            _ => quantity.to_string(),
        }
    }

    /// The units that may stand behind a number, and how much each is; without one there is [`number`](Self::number).
    pub(crate) fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Time => &TIMES,
            Self::Size => &SIZES,
            Self::Rate(_) => &[],
        }
    }

    /// What a value of this kind is called.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Time => "a time",
            Self::Size => "a size",
            Self::Rate(_) => "a whole number",
        }
    }

    /// How it is written.
    pub(crate) fn forms(self) -> String {
        match self {
            Self::Time => "write `30s`, `500ms`, `2m` or `1h`; a number alone counts seconds".to_owned(),
            Self::Size => {
                "write `512KiB`, `64MiB` or `1GiB`, or by thousands `64MB`; a number alone counts bytes".to_owned()
            }
            Self::Rate(what) => format!("write so many {what}; 0 or `{UNLIMITED}` is no bound"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Measure = Measure::Rate("lines a second");

    #[test]
    fn quantities_are_read_in_every_documented_form() {
        let time = |text| Measure::Time.read(text);
        assert_eq!([time("500ms"), time("30s"), time("2 m"), time("2min")], [500, 30_000, 120_000, 120_000].map(Some));
        assert_eq!((time("30"), time("1h"), time("0")), (Some(30_000), Some(3_600_000), Some(0)));
        let size = |text| Measure::Size.read(text);
        assert_eq!([size("64MiB"), size("64 mb"), size("512KiB")], [64 << 20, 64_000_000, 512 << 10].map(Some));
        assert_eq!([size("1GiB"), size("1GB"), size("7"), size("7B")], [1 << 30, 1_000_000_000, 7, 7].map(Some));
        assert_eq!((RATE.read("100"), RATE.read("0"), RATE.read("unlimited")), (Some(100), Some(0), Some(0)));
    }

    #[test]
    fn what_is_no_quantity_is_not_read_and_what_is_too_large_is_the_largest() {
        for text in ["", "s", "-1s", "1.5s", "1 day", "30S", "soon", "1s 2s", "unlimited"] {
            assert_eq!(Measure::Time.read(text), None, "{text}");
        }
        for text in ["", "MiB", "64M", "64Mi", "6 4MiB", "-1", "1e6", "unlimited"] {
            assert_eq!(Measure::Size.read(text), None, "{text}");
        }
        for text in ["", "many", "100/s", "-1", "1.0", "Unlimited "] {
            assert_eq!(RATE.read(text), None, "{text}");
        }
        let nines = "9".repeat(40);
        assert_eq!(Measure::Time.read(&format!("{nines}h")), Some(u64::MAX));
        assert_eq!((Measure::Size.read(&nines), RATE.read(&nines)), (Some(u64::MAX), Some(u64::MAX)));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        assert_eq!(
            [30_000, 90_000, 3_600_000, 1500].map(|time| Measure::Time.show(time)),
            ["30s", "90s", "1h", "1500ms"]
        );
        assert_eq!([64 << 20, 1 << 10, 1000].map(|size| Measure::Size.show(size)), ["64MiB", "1KiB", "1000"]);
        for measure in [Measure::Time, Measure::Size, RATE] {
            for quantity in [0, 1, 1000, 1024, 60_000, 90_000, 86_400_000, 1 << 20, 3 << 30] {
                assert_eq!(measure.read(&measure.show(quantity)), Some(quantity), "{measure:?} {quantity}");
            }
        }
    }
}
