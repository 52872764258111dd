"""The families of rows: each file says how its rows are recognised and what becomes of them."""
