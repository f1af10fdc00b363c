# Writes OUTPUT, a header that holds the text of INPUT as the raw string literal SYMBOL.
file(READ "${INPUT}" text)
file(WRITE "${OUTPUT}" "#pragma once\n\ninline constexpr char ${SYMBOL}[] = R\"bootstrap(${text})bootstrap\";\n")
