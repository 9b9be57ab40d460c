"""The tabs of the page: layout and handlers of each."""
