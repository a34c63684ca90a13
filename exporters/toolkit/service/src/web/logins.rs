//! Basic authentication with bcrypt hashes: one comparison at a time, off the async threads; known answers at once.

use super::WebError;
use ring::hmac;
use ring::rand::SystemRandom;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Users and their hashes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// What an unknown user's password is compared with: as costly as the costliest real one.
    decoy: String,
}

impl Users {
    pub(super) fn new<'a>(users: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let hashes: BTreeMap<String, String> = users.map(|(n, h)| (n.to_owned(), h.to_owned())).collect();
        let cost = hashes.values().filter_map(|h| cost(h).ok()).max().unwrap_or(DECOY_COST).max(DECOY_COST);
        Self { hashes, decoy: format!("$2y${cost:02}${DECOY}") }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether every hash is one.
    pub(super) fn check(&self) -> Result<(), WebError> {
        self.hashes.iter().try_for_each(|(name, hash)| {
            cost(hash).map(drop).map_err(|why| WebError::new(format!("basic_auth_users: {name}: {why}")))
        })
    }
}

/// The cost that a bcrypt hash names; also tells whether it is one.
fn cost(hash: &str) -> Result<u32, &'static str> {
    if hash.len() < 59 {
        return Err("hashedSecret too short to be a bcrypted password");
    }
    let (prefix, rest) = hash.split_at_checked(4).ok_or("not a bcrypt hash")?;
    if !matches!(prefix, "$2a$" | "$2b$" | "$2y$") {
        return Err("not a bcrypt hash: it must start with $2a$, $2b$ or $2y$");
    }
    let (digits, rest) = rest.split_once('$').ok_or("not a bcrypt hash: its cost has no end")?;
    let cost = digits.parse().ok().filter(|c| digits.len() == 2 && (4..=31).contains(c));
    let known = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    if !known || hash.len() != 60 {
        return Err("not a bcrypt hash: expected 53 characters after its cost");
    }
    cost.ok_or("not a bcrypt hash: its cost is not between 04 and 31")
}

/// Compares logins and remembers the answers.
pub(super) struct Logins {
    /// Answers are kept under a keyed digest, so that no password stays in memory.
    key: hmac::Key,
    known: Mutex<Known>,
    /// Who may compare, one at a time: bcrypt is made to be slow.
    turn: Arc<Semaphore>,
    /// Who may wait for that.
    queue: Semaphore,
}

/// Good answers and bad ones apart: a flood of wrong logins cannot throw out the right ones.
#[derive(Default)]
struct Known {
    good: HashSet<Digest>,
    bad: HashSet<Digest>,
}

type Digest = [u8; 32];

/// What a login is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    Good,
    Bad,
    /// Too many others wait for their turn.
    Busy,
}

impl Logins {
    pub(super) fn new() -> Result<Self, WebError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| WebError::new("no random numbers to be had from the kernel"))?;
        let (turn, queue) = (Arc::new(Semaphore::new(1)), Semaphore::new(MOST_WAITING));
        Ok(Self { key, known: Mutex::default(), turn, queue })
    }

    /// Checks the value of an `Authorization` header.
    pub(super) async fn check(&self, users: &Users, authorization: Option<&[u8]>) -> Login {
        let Some((user, password)) = authorization.and_then(credentials) else { return Login::Bad };
        let name = std::str::from_utf8(&user).ok();
        let real = name.and_then(|name| users.hashes.get(name));
        let hash = real.unwrap_or(&users.decoy);
        let digest = self.digest(&[&user, hash.as_bytes(), &password]);
        if let Some(answer) = self.known().answer(&digest) {
            return answer;
        }
        let Ok(_waiting) = self.queue.try_acquire() else { return Login::Busy };
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else { return Login::Busy };
        // Whoever had the turn before may have asked the same.
        if let Some(answer) = self.known().answer(&digest) {
            return answer;
        }
        let (hash, is_real) = (hash.clone(), real.is_some());
        let compared = tokio::task::spawn_blocking(move || {
            // The turn ends with the work, even if whoever asked has gone by then.
            let _turn = turn;
            bcrypt::verify(&password, &hash).unwrap_or(false)
        });
        let good = compared.await.unwrap_or(false) && is_real;
        self.known().remember(digest, good);
        if good { Login::Good } else { Login::Bad }
    }

    /// Lengths keep the parts apart: ("ab", "c") is not ("a", "bc") (CVE-2022-46146).
    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn answer(&self, digest: &Digest) -> Option<Login> {
        if self.good.contains(digest) { Some(Login::Good) } else { self.bad.contains(digest).then_some(Login::Bad) }
    }

    fn remember(&mut self, digest: Digest, good: bool) {
        let known = if good { &mut self.good } else { &mut self.bad };
        if known.len() >= MOST_KNOWN {
            // The set's own order is as good as random.
            let some: Vec<Digest> = known.iter().take(THROWN_OUT).copied().collect();
            for digest in &some {
                known.remove(digest);
            }
        }
        known.insert(digest);
    }
}

/// User and password of a `Basic` header.
fn credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, text) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = base64(text)?;
    let colon = user.iter().position(|&b| b == b':')?;
    let password = user.split_off(colon + 1);
    user.pop();
    Some((user, password))
}

/// Decodes RFC 4648 base64 with its padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for &digit in group {
            bits = bits << 6 | u32::from(value(digit)?);
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// The cost of Go's own decoy, and the least that ours has.
const DECOY_COST: u32 = 10;
/// Salt and digest of the decoy: no password has this digest, and nobody is let in by it anyway.
const DECOY: &str = "QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
/// Answers of each kind that are remembered.
const MOST_KNOWN: usize = 100;
const THROWN_OUT: usize = 10;
/// Logins that may wait for their turn; with more, connections would all be taken by them.
const MOST_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn users(of: &[(&str, &str)]) -> Users {
        Users::new(of.iter().copied())
    }

    fn hash_of(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn basic(user: &str, password: &str) -> Vec<u8> {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let plain = format!("{user}:{password}");
        let mut out = b"Basic ".to_vec();
        for group in plain.as_bytes().chunks(3) {
            let mut bytes = [0; 4];
            bytes[1..=group.len()].copy_from_slice(group);
            let bits = u32::from_be_bytes(bytes);
            let digit =
                |at: usize| if at <= group.len() { DIGITS[(bits >> (18 - 6 * at) & 63) as usize] } else { b'=' };
            out.extend((0..4).map(digit));
        }
        out
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_good() {
        let hash = hash_of("pw");
        let users = users(&[("ann", &hash)]);
        let logins = Logins::new().unwrap();
        for _ in 0..2 {
            for (user, password, login) in [
                ("ann", "pw", Login::Good),
                ("ann", "pw2", Login::Bad),
                ("an", "npw", Login::Bad),
                ("", "", Login::Bad),
            ] {
                assert_eq!(logins.check(&users, Some(&basic(user, password))).await, login, "{user} {password}");
            }
        }
        assert_eq!(logins.check(&users, None).await, Login::Bad);
        assert_eq!(logins.check(&users, Some(b"Bearer x")).await, Login::Bad);
    }

    #[tokio::test]
    async fn a_known_login_does_not_wait_and_the_queue_is_bounded() {
        let hash = hash_of("pw");
        let users = users(&[("ann", &hash)]);
        let logins = Logins::new().unwrap();
        assert_eq!(logins.check(&users, Some(&basic("ann", "pw"))).await, Login::Good);
        let turn = Arc::clone(&logins.turn).acquire_owned().await.unwrap();
        assert_eq!(logins.check(&users, Some(&basic("ann", "pw"))).await, Login::Good);
        let full = logins.queue.try_acquire_many(MOST_WAITING as u32).unwrap();
        assert_eq!(logins.check(&users, Some(&basic("ann", "other"))).await, Login::Busy);
        drop((turn, full));
        assert_eq!(logins.check(&users, Some(&basic("ann", "other"))).await, Login::Bad);
    }

    #[test]
    fn bad_answers_do_not_throw_out_good_ones() {
        let mut known = Known::default();
        known.remember([255; 32], true);
        for n in 0..1000u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            known.remember(digest, false);
            assert!(known.bad.len() <= MOST_KNOWN);
        }
        assert_eq!(known.answer(&[255; 32]), Some(Login::Good));
        assert!(known.bad.len() >= MOST_KNOWN - THROWN_OUT);
    }

    #[test]
    fn hashes_are_checked() {
        let good = "$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu";
        assert_eq!(cost(good), Ok(10));
        assert!(users(&[("ann", good)]).check().is_ok());
        let error = users(&[("ann", "doe")]).check().unwrap_err().to_string();
        assert!(error.contains("basic_auth_users: ann") && error.contains("too short"), "{error}");
        for bad in [
            good.replace("$2y$", "$2x$"),
            good.replace("$10$", "$99$"),
            good.replace("$10$", "$1é$"),
            format!("{good}x"),
        ] {
            assert!(cost(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_decoy_costs_as_much_as_the_costliest() {
        for (cost_of_ann, decoy) in [("12", "$2y$12$"), ("04", "$2y$10$")] {
            let hash = format!("$2y${cost_of_ann}$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu");
            assert!(users(&[("ann", &hash)]).decoy.starts_with(decoy));
        }
        // It must be a hash that bcrypt works on, not one that it refuses at once.
        let cheap = format!("$2y$04${DECOY}");
        assert_eq!(bcrypt::verify("x", &cheap).ok(), Some(false));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(user in "[^:]{0,9}", password in ".{0,9}") {
            let read = credentials(&basic(&user, &password));
            prop_assert_eq!(read, Some((user.into_bytes(), password.into_bytes())));
        }

        #[test]
        fn any_header_is_answered(header in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = credentials(&header);
            let _ = credentials(&[b"Basic ", &header[..]].concat());
        }

        #[test]
        fn any_hash_is_answered(hash in ".{0,70}") {
            let _ = cost(&hash);
        }
    }
}
