"""Which weights exist, and finding, fetching, verifying, converting and loading them."""
