"""The capstone: a corpus of one's own, two systems, people's judgements."""
