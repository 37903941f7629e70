"""Exports in other shops' styles, each with the lines that its books hold, for tests of drafts."""
