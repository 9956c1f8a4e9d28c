//! How a call to an external system can fail, classed by the two things a caller must know: whether it may have had an
//! effect, and when it may be tried again.

use std::error::Error;
use std::time::Duration;

/// What went wrong below, kept as the source. It never holds an address with credentials in it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Whether a call that failed may have changed anything on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Certainly nothing was changed.
    None,
    /// All, some or nothing of it may have been done, or may still be under way.
    Unknown,
}

/// A call that did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request never left: certainly without effect.
    #[error("the request was not sent: {cause}")]
    NotSent {
        /// Why not.
        cause: NotSentCause,
        /// The failure below, if there was one.
        #[source]
        source: Option<BoxError>,
    },
    /// The system does not accept who we are, or what we may do.
    #[error("access was refused: {0}")]
    Auth(AuthProblem),
    /// The system refused the request as a whole.
    #[error("the request was refused with status {status} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The system's own error word, or `-`.
        code: String,
    },
    /// We are sent elsewhere, which is never followed.
    #[error("the request was redirected to {to}: use the final address")]
    Redirected {
        /// HTTP status.
        status: u16,
        /// Scheme and host only: the rest may repeat credentials.
        to: String,
    },
    /// Too many calls; refused before anything was done.
    #[error("the system asks for fewer calls")]
    RateLimited {
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// A read failed on the other side.
    #[error("the system is not available: status {status}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// How long it asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// It was sent, and what became of it is not known.
    #[error("it is not known what became of the request: {cause}")]
    Uncertain {
        /// What hid the answer.
        cause: UncertainCause,
        /// How long the system asks us to stay away.
        retry_after: Option<Duration>,
        /// The failure below, if there was one.
        #[source]
        source: Option<BoxError>,
    },
    /// A read was answered, but not with what it should be.
    #[error("the answer cannot be used: {reason}")]
    BadReply {
        /// What is wrong with it.
        reason: &'static str,
        /// The failure below, if there was one.
        #[source]
        source: Option<BoxError>,
    },
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotSentCause {
    /// The name has no address.
    #[error("the host name is not known")]
    Dns,
    /// The name leads to an address that may not be called for this shop.
    #[error("the host is in a private or reserved network, which is not allowed for this shop")]
    AddressRefused,
    /// Nothing listens there, or it cannot be reached.
    #[error("the connection was refused or the host cannot be reached")]
    Connect,
    /// No connection within the time allowed.
    #[error("no connection within the time allowed")]
    ConnectTimeout,
    /// The encrypted connection could not be made.
    #[error("the encrypted connection could not be made")]
    Tls,
    /// The request could not be written: a defect here.
    #[error("the request could not be put together")]
    Malformed,
    /// More items than one call may hold.
    #[error("too many items for one call")]
    TooMany,
}

/// What hid the answer to a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UncertainCause {
    /// No complete answer within the time allowed.
    #[error("no complete answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke")]
    Cut,
    /// The server failed after it had the request.
    #[error("the server failed with status {0}")]
    ServerError(u16),
    /// The answer says success but cannot be read.
    #[error("the answer cannot be read")]
    BadReply,
}

/// Why access was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthProblem {
    /// The key is not known, or did not arrive: the answer is the same.
    #[error("the consumer key is not known to the shop, or does not arrive there")]
    KeyUnknown,
    /// The key is known, the secret is wrong.
    #[error("the consumer secret is wrong")]
    SecretWrong,
    /// The key may not read.
    #[error("the key may not read: it needs Read/Write permission")]
    NoReadPermission,
    /// The key may not write.
    #[error("the key may not write: it needs Read/Write permission")]
    NoWritePermission,
    /// The signature does not match: most often the shop knows itself under another address.
    #[error("the signature does not match the address the shop knows itself by")]
    SignatureInvalid,
    /// Our clock and the shop's are too far apart.
    #[error("our clock and the shop's are too far apart")]
    ClockSkew,
    /// The key's user may not do this.
    #[error("the key's user may not do this: it needs the rights of a shop manager")]
    UserLacksRights,
    /// Something before the shop, as a firewall or a security plugin, answered.
    #[error("something before the shop answered with status {0}: a firewall or a security plugin")]
    Blocked(u16),
    /// Another refusal.
    #[error("refused with {0}")]
    Other(String),
}

impl CallError {
    /// Whether anything may have been changed.
    pub fn effect(&self) -> Effect {
        match self {
            Self::Uncertain { .. } => Effect::Unknown,
            Self::NotSent { .. }
            | Self::Auth(_)
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::BadReply { .. } => Effect::None,
        }
    }

    /// How long the system asks us to stay away, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after }
            | Self::Unavailable { retry_after, .. }
            | Self::Uncertain { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Trying the very same again cannot help until a person changes something.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Auth(_) | Self::Redirected { .. } => true,
            Self::NotSent { cause, .. } => {
                matches!(cause, NotSentCause::AddressRefused | NotSentCause::Malformed)
            }
            _ => false,
        }
    }

    /// The system itself is at fault or out of reach: what a breaker counts. A refusal is an answer.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Uncertain { .. } | Self::BadReply { .. } => true,
            Self::NotSent { cause, .. } => matches!(
                cause,
                NotSentCause::Dns | NotSentCause::Connect | NotSentCause::ConnectTimeout | NotSentCause::Tls
            ),
            Self::Auth(_) | Self::Refused { .. } | Self::Redirected { .. } | Self::RateLimited { .. } => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sent_and_unanswered_call_may_have_had_an_effect() {
        let uncertain = CallError::Uncertain { cause: UncertainCause::Cut, retry_after: None, source: None };
        assert_eq!(uncertain.effect(), Effect::Unknown);
        assert!(uncertain.is_outage());
        let refused = CallError::Refused { status: 413, code: "-".to_owned() };
        assert_eq!(refused.effect(), Effect::None);
        assert!(!refused.is_outage());
        let private = CallError::NotSent { cause: NotSentCause::AddressRefused, source: None };
        assert!(private.needs_a_person() && !private.is_outage());
    }
}
