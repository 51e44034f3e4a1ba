/** The element with this id, of the class that the page gives it. */
export function byId<T extends Element>(id: string, type: new () => T): T | undefined {
  const found = document.getElementById(id);
  return found instanceof type ? found : undefined;
}

/** A new element with text or children; text is never markup. */
export function element(
  tag: string,
  about: { readonly class?: string; readonly [attribute: string]: string | undefined },
  ...children: readonly (Node | string)[]
): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** All elements of a class that match, below the document. */
export function all<T extends Element>(selector: string, type: new () => T): readonly T[] {
  return [...document.querySelectorAll(selector)].filter((each): each is T => each instanceof type);
}
