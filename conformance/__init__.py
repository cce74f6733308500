"""Holds every SDK to one behaviour: scripted servers, cases as data, a small testee per SDK. See README.md."""
