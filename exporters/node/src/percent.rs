//! Percent-encoding (RFC 3986) undone.

/// The bytes that `%20` and the like stand for.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high << 4 | low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn some() {
        assert_eq!(decode("a%20b%2F%zz%"), b"a b/%zz%");
    }

    proptest! {
        #[test]
        fn what_is_not_encoded_stays(text in "[^%]*") {
            prop_assert_eq!(decode(&text), text.as_bytes());
        }
    }
}
