"""Accounts of a mail server: a small stand-in for Mailu's admin.

The routes under /internal, the `flask mailu` commands and the tables behind
them are named and behave as Mailu's do, as far as the recipe and its suite use them.
"""
