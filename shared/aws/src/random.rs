//! Random numbers of the operating system.

use std::{fs::File, io::Read};

use tagwire_core::group::Token;
use tagwire_engine::cloud::{CloudError, ErrorKind};

use crate::call::Call;

/// A new token, from the generator that Linux and macOS offer as a file. Only functions make groups, and they run on Linux.
pub(crate) fn token() -> Result<Token, CloudError> {
    const SOURCE: &str = "/dev/urandom";
    let mut bits = [0; 16];
    let read = File::open(SOURCE).and_then(|mut source| source.read_exact(&mut bits));
    let call = Call::reading("a random number", SOURCE);
    read.map_err(|error| call.error(ErrorKind::Unavailable, "no-randomness", error.to_string()))?;
    Ok(Token::of_bits(u128::from_be_bytes(bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_comes_twice() {
        assert_ne!(token().unwrap(), token().unwrap());
    }
}
