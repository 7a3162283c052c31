# One text becomes one page: the first line is the title, "* [text](file)" a link, other paragraphs are paragraphs.
function escaped(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    return text
}

function close_list() {
    if (in_list) print "</ul>"
    in_list = 0
}

NR == 1 {
    title = escaped($0)
    print "<!doctype html>"
    print "<html lang=\"en\">"
    print "<meta charset=\"utf-8\">"
    print "<title>" title "</title>"
    print "<h1>" title "</h1>"
    next
}

/^\* \[.*\]\(.*\)$/ {
    if (!in_list) print "<ul>"
    in_list = 1
    text = $0
    link = $0
    sub(/^\* \[/, "", text)
    sub(/\]\(.*$/, "", text)
    sub(/^.*\]\(/, "", link)
    sub(/\)$/, "", link)
    print "<li><a href=\"" link "\">" escaped(text) "</a></li>"
    next
}

/^$/ { close_list(); next }

{ close_list(); print "<p>" escaped($0) "</p>" }

END { close_list(); print "</html>" }
