import { signal } from '@preact/signals';

// What is open beside the conversation.
export const settingsOpen = signal(false);
export const drawerOpen = signal(false); // the conversations, on a narrow screen
export const narrow = signal(false);

const query = matchMedia('(max-width: 760px)');
const follow = () => (narrow.value = query.matches);
query.addEventListener('change', follow);
follow();
