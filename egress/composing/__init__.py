"""Composition after the fact: recorded tracks made into a programme, as fast as the machine allows."""
