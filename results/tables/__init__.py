"""Tables of trials: what is asked for, which trials count, and what can be said of them."""
