//! What the broker answers when it does not do what it was asked.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// The broker refused, or the link to it failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct BrokerError(pub(super) lapin::Error);

impl BrokerError {
    /// It said that something is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.soft() == Some(AMQPSoftError::NOTFOUND)
    }

    /// It has something by that name which is made differently.
    pub(super) fn is_mismatch(&self) -> bool {
        self.soft() == Some(AMQPSoftError::PRECONDITIONFAILED)
    }

    /// Trying again cannot help until somebody changes something: name, password, virtual host, permissions.
    pub(super) fn is_refusal(&self) -> bool {
        let ErrorKind::ProtocolError(error) = self.0.kind() else { return false };
        matches!(
            error.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)
        )
    }

    fn soft(&self) -> Option<AMQPSoftError> {
        match self.0.kind() {
            ErrorKind::ProtocolError(error) => match error.kind() {
                AMQPErrorKind::Soft(soft) => Some(soft.clone()),
                AMQPErrorKind::Hard(_) => None,
            },
            _ => None,
        }
    }
}
