//! What the parts promise each other and their readers, held against the code.

mod compose;
mod documents;
