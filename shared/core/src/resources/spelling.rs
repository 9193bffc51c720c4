//! Which of several words somebody may have meant.

use std::collections::BTreeSet;

use super::tag::ConnectionName;

/// The most slips in a word that is still taken for another one.
const MOST_SLIPS: usize = 2;

/// The names that differ from one by a slip or two, or by upper and lower case alone, the nearest first.
#[must_use]
pub fn near<'names>(
    name: &ConnectionName,
    others: impl IntoIterator<Item = &'names ConnectionName>,
) -> Vec<&'names ConnectionName> {
    let near = others.into_iter().filter(|other| *other != name).filter_map(|other| {
        let [one, two] = [name, other].map(|name| name.as_str().to_ascii_lowercase());
        // In a short word, two slips make any other.
        let most = MOST_SLIPS.min(one.len().min(two.len()) / 3);
        let slips = slips(&one, &two);
        (slips <= most).then_some((slips, other))
    });
    let near: BTreeSet<(usize, &ConnectionName)> = near.collect();
    near.into_iter().map(|(_, name)| name).collect()
}

/// How many letters have to be added, left out, replaced or swapped with the next to make one word of another.
fn slips(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    // The last three rows of the table of distances between the beginnings of the two.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=two.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in two.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, column) + usize::from(letter != other);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let earlier = |word: &[char], place: usize| place.checked_sub(1).and_then(|place| word.get(place).copied());
            if earlier(&one, row) == Some(*other) && earlier(&two, column) == Some(*letter) {
                best = best.min(at(&before, column.wrapping_sub(1)) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_one_that_a_slip_of_the_hand_makes_of_it() {
        let names = ["orders", "Orders", "ordres", "orders2", "billing", "db", "dc"]
            .map(|name| ConnectionName::parse(name).unwrap());
        let near_to = |name: &str| -> Vec<String> {
            let name = ConnectionName::parse(name).unwrap();
            near(&name, &names).into_iter().map(ToString::to_string).collect()
        };
        assert_eq!(near_to("order"), ["Orders", "orders"]);
        assert_eq!(near_to("ordrs"), ["Orders", "orders", "ordres"]);
        assert_eq!(near_to("orders"), ["Orders", "orders2", "ordres"]);
        assert_eq!(near_to("biling"), ["billing"]);
        assert_eq!(near_to("db"), [""; 0], "two short names are two names");
        assert_eq!(near_to("shipping"), [""; 0]);
    }

    #[test]
    fn swapped_letters_are_one_slip() {
        for (one, two, expected) in
            [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("orders", "ordres", 1), ("abc", "xyz", 3)]
        {
            assert_eq!((slips(one, two), slips(two, one)), (expected, expected), "{one} {two}");
        }
    }
}
