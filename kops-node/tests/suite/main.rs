//! The tests that run the program. They are one program: each further one would be linked with all libraries again.

mod portability;
mod processes;
