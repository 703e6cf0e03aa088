"""A boot lab: real machines on one Linux box for whatever an emulated AWS shows as running."""
