"""Compare answers with those of the question-answering pipeline of transformers."""
