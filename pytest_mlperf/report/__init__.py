"""What is told of the records: files, properties, and words. Nothing here imports pytest.

`records` and `metrics` write files, `properties` feeds JUnit and HTML, `explanation` is for people,
`conformance` adds up a whole session.
"""
