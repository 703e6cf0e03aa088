//! The tests that use the library from outside. They are one program: each further one would be linked with all libraries again.

mod contract;
mod fixture;
mod kops_fixtures;
mod laws;
mod named;
mod races;
mod rolling;
mod waits;
mod walls;
